"""The gRPC protocol's descriptor, ``inference.desc``, from ``inference.proto``.

``python scripts/grpc_descriptor.py --write`` writes it; without ``--write`` the command fails if it is not current. The
compiler is in the package ``grpcio-tools``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "drum_litestar" / "protocols" / "grpc_inference"
PROTO = FOLDER / "inference.proto"
DESCRIPTOR = FOLDER / "inference.desc"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/grpc_descriptor.py", description=(__doc__ or "").partition("\n\n")[2]
    )
    parser.add_argument("--write", action="store_true", help=f"write {DESCRIPTOR.name}")
    if parser.parse_args().write:
        DESCRIPTOR.write_bytes(compiled())
    elif DESCRIPTOR.read_bytes() != compiled():
        sys.exit(f"{DESCRIPTOR.name} is not current: python scripts/grpc_descriptor.py --write")


def compiled() -> bytes:
    """The protocol as a serialized ``FileDescriptorSet``."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / DESCRIPTOR.name
        command = [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{FOLDER}",
            f"--descriptor_set_out={target}",
            str(PROTO),
        ]
        subprocess.run(command, check=True)
        return target.read_bytes()


if __name__ == "__main__":
    main()
