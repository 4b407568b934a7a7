"""Other projects' files in the pages of the OpenAPI document, from npm, with their licences.

``python scripts/page_assets.py --write`` fetches the versions below with ``npm pack`` and writes the files; without
``--write`` it says which files are not those. A new version is a new row: its integrity is that of npm, ``npm view
NAME@VERSION dist.integrity``. A test compares the files with the hashes.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "drum_litestar" / "http" / "openapi" / "pages"
SCRIPT = "scripts/page_assets.py"


@dataclass(frozen=True)
class Asset:
    """A file of a package, and where it is put."""

    source: str
    target: str
    sha256: str
    """Of the file as it is put there."""
    replaced: tuple[tuple[bytes, bytes], ...] = ()
    """What is changed in it."""


@dataclass(frozen=True)
class Package:
    """A package in one version."""

    name: str
    version: str
    integrity: str
    assets: tuple[Asset, ...]


PACKAGES = (
    Package(
        "swagger-ui-dist",
        "5.35.0",
        "sha512-U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ==",
        (
            Asset(
                "swagger-ui-bundle.js",
                "swagger/swagger-ui-bundle.js",
                "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
            ),
            Asset(
                "swagger-ui.css",
                "swagger/swagger-ui.css",
                "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
            ),
            Asset(
                "LICENSE",
                "swagger/swagger-ui.LICENSE.txt",
                "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
            ),
            Asset(
                "NOTICE",
                "swagger/swagger-ui.NOTICE.txt",
                "0d20d1adef18aee3f40dd258172155521ce702ac445cb5f7b7d60ed32dad2fb2",
            ),
            Asset(
                "swagger-ui-bundle.js.LICENSE.txt",
                "swagger/swagger-ui-bundle.js.LICENSE.txt",
                "37eb6e7e59aed57b2c1acf076574b818ea07b74265717e0bd67b59e0baf9abbb",
            ),
        ),
    ),
    Package(
        "redoc",
        "2.5.4",
        "sha512-M6jWhG1qoBnH6TFmzJnstyCZ87HmOY/UzDm78mHiYihEdlV/YcS9ogOo1NlElnJMeLsyxHFe2yFc4sNjHTrABQ==",
        (
            Asset(
                "bundles/redoc.standalone.js",
                "redoc/redoc.standalone.js",
                "e3d4361ba4ecdba1fad6ff3c627ef1e2563d78c02fbadb8e38572accac6a2acc",
                # the image of its maker, which a browser would fetch from another host
                ((b"https://cdn.redoc.ly/redoc/logo-mini.svg", b"data:,"),),
            ),
            Asset(
                "LICENSE",
                "redoc/redoc.LICENSE.txt",
                "d3026d549cf68ab7355bcfa85877bf8f845b3334a7efbfdc63936432fb34ff0e",
            ),
            Asset(
                "bundles/redoc.standalone.js.LICENSE.txt",
                "redoc/redoc.standalone.js.LICENSE.txt",
                "eed602ec32e00b2b9df1984fbcc26a687b1b3193ec01961389c4b8439e6edf73",
            ),
        ),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog=SCRIPT, description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--write", action="store_true", help="fetch the packages and write the files")
    if parser.parse_args().write:
        for package in PACKAGES:
            write(package)
    if found := differences():
        sys.exit("\n".join(found))


def differences() -> list[str]:
    """The files that are missing, or others than their hashes say."""
    return [
        f"{asset.target} has sha256 {found}, not {asset.sha256}"
        for package in PACKAGES
        for asset in package.assets
        if (found := _sha256(FOLDER / asset.target)) != asset.sha256
    ]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "of no file"


def write(package: Package) -> None:
    """Fetch ``package`` and write its assets. Exits for an archive that is not the one meant."""
    with tempfile.TemporaryDirectory() as folder:
        named = f"{package.name}@{package.version}"
        subprocess.run(["npm", "pack", "--silent", named], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(folder).iterdir()
        digest = hashlib.sha512(archive.read_bytes()).digest()
        if f"sha512-{base64.b64encode(digest).decode()}" != package.integrity:
            sys.exit(f"{named} is not the archive that {SCRIPT} means")
        with tarfile.open(archive) as contents:
            for asset in package.assets:
                _write(contents, asset)


def _write(contents: tarfile.TarFile, asset: Asset) -> None:
    member = contents.extractfile(f"package/{asset.source}")
    if member is None:
        sys.exit(f"there is no {asset.source}")
    data = member.read()
    for old, new in asset.replaced:
        if old not in data:
            sys.exit(f"{asset.source} has no {old!r}")
        data = data.replace(old, new)
    target = FOLDER / asset.target
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


if __name__ == "__main__":
    main()
