"""No dangling references: to the contract's sections, between pages, to files and to names of the package."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "drum_litestar"
CONTRACT = ROOT / "docs" / "contract.md"
REPOSITORY = "https://github.com/drum-litestar/drum-litestar"


def walk(folder: Path) -> Iterator[Path]:
    """Files below ``folder``; hidden folders hold environments and caches."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name != "__pycache__" and not path.name.startswith("."):
                yield from walk(path)
        else:
            yield path


CODE = ("drum_litestar", "tests", "scripts", "benchmarks", "examples")
PAGES = sorted(ROOT.glob("*.md"))
PAGES += [path for folder in ("docs", "deploy", *CODE) for path in walk(ROOT / folder) if path.suffix == ".md"]
SOURCES = [
    path
    for folder in CODE
    for path in walk(ROOT / folder)
    if path.suffix in (".py", ".sh", ".toml", ".pth") or (not path.suffix and folder == "scripts")
]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def page_id(path: object) -> str | None:
    return relative(path) if isinstance(path, Path) else None


# --- the contract -----------------------------------------------------------------------------------------------------

_CITED = (
    r"(?:(?P<open>\()?(?P<question>Q-\d+)(?(open)\))"
    r"|(?:sections? )?(?P<section>\d+(?:\.\d+)?)(?:,? step (?P<step>\d+))?)(?:'s)?"
)
_FIRST = re.compile(r"\b[Cc]ontract(?:'s)?[,:]? \(?" + _CITED)
_NEXT = re.compile(r"(?:[,;]? (?:and |to |with |or )?)" + _CITED)


def cited(text: str) -> Iterator[tuple[str, str | None]]:
    """Sections with their steps, and questions, that ``text`` cites as "contract, ..."."""
    text = re.sub(r"\s*\n\s*(?:# )?", " ", text)
    for match in _FIRST.finditer(text):
        following: re.Match[str] | None = match
        while following is not None:
            yield following["section"] or following["question"], following["step"]
            following = _NEXT.match(text, following.end())


@cache
def contract_sections() -> dict[str, str]:
    """Number and text of each section of the contract."""
    parts = re.split(r'^#+ <a id="([\d.]+)"></a>', CONTRACT.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def contract_has(place: str, step: str | None = None) -> bool:
    if place.startswith("Q-"):
        return {place.lower(), f"decision-{place.lower()}"} <= anchors(CONTRACT)
    text = contract_sections().get(place)
    return text is not None and (step is None or re.search(rf"^{step}\. ", text, re.MULTILINE) is not None)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("(contract, 3.5)", [("3.5", None)]),
        ("(contract, 3.5 and 3.8)", [("3.5", None), ("3.8", None)]),
        ("(contract, 3.12 to 3.14), 200", [("3.12", None), ("3.14", None)]),
        ("(contract,\n    # section 8, Q-16)", [("8", None), ("Q-16", None)]),
        ("contract 5.2, section 8 (Q-3), and the text", [("5.2", None), ("8", None), ("Q-3", None)]),
        ("(contract, 1.3, with section 8's Q-20)", [("1.3", None), ("8", None), ("Q-20", None)]),
        ("the contract (1.1 step 9), and", [("1.1", "9")]),
        ("(contract, 1.1, step 4).", [("1.1", "4")]),
        ("the contract's sections 3, 4 and 8, never", [("3", None), ("4", None), ("8", None)]),
        ("Contract Q-1.", [("Q-1", None)]),
        ("its contract cases, then 5", []),
    ],
)
def test_citations_are_found(text: str, places: list[tuple[str, str | None]]) -> None:
    """Otherwise the next test would prove nothing."""
    assert list(cited(text)) == places


def dangling_citations() -> list[str]:
    found = []
    for path in (*SOURCES, *PAGES):
        text = path.read_text()
        places = [*cited(text), *((question, None) for question in re.findall(r"\bQ-\d+\b", text))]
        places += [(section, None) for section in re.findall(r"\bsection (\d+(?:\.\d+)?)\b", text)]
        found += [f"{relative(path)}: {place} {step or ''}" for place, step in places if not contract_has(place, step)]
    return found


def test_the_contract_has_what_is_cited() -> None:
    assert not dangling_citations()


@pytest.mark.parametrize("page", [path for path in PAGES if path != CONTRACT], ids=page_id)
def test_pages_cite_the_contract_by_links(page: Path) -> None:
    """The text of a link names the first place that the link leads to; without a link nothing is cited."""
    text = prose(page.read_text())
    assert not list(cited(LINK.sub("", text)))
    for link in LINK.finditer(text):
        for place, _ in list(cited(link["text"]))[:1]:
            assert link["target"].partition("#")[2] == place.lower()


# --- links between pages ----------------------------------------------------------------------------------------------

LINK = re.compile(r"!?\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s]+)\)")


def prose(text: str) -> str:
    """A page without code blocks and code spans."""
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"(?<=\n\n)(?: {4}.*\n)+", "", text)
    return re.sub(r"`[^`\n]*`", "`code`", text)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Places of a page that a link can lead to, as GitHub names them: its headings, and ``<a id="...">``."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    seen: Counter[str] = Counter()
    for heading in re.findall(r"^#+ +(.*?) *$", text, re.MULTILINE):
        heading = LINK.sub(lambda link: link["text"], re.sub(r"<[^>]+>", "", heading))
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return frozenset(found)


@pytest.mark.parametrize(
    ("heading", "anchor"), [("From `a` to b.", "from-a-to-b"), ("The *switch*, and back", "the-switch-and-back")]
)
def test_anchors_are_githubs(heading: str, anchor: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"## {heading}\n")
    assert anchors(page) == {anchor}


def leads_nowhere(path: Path, anchor: str) -> bool:
    return not path.exists() or bool(anchor and path.suffix == ".md" and anchor not in anchors(path))


def dangling_links() -> list[str]:
    found = []
    for page in PAGES:
        for link in LINK.finditer(prose(page.read_text())):
            target, _, anchor = link["target"].partition("#")
            if not re.match(r"[a-z]+:", target) and leads_nowhere(page.parent / target if target else page, anchor):
                found.append(f"{relative(page)}: {link['target']}")
    own = re.compile(rf"{re.escape(REPOSITORY)}/(?:blob|tree)/main/([\w./-]*\w)(?:#([\w.-]*\w))?")
    for path in (*PAGES, *SOURCES, ROOT / "pyproject.toml"):
        found += [
            f"{relative(path)}: {target}#{anchor}"
            for target, anchor in own.findall(path.read_text())
            if leads_nowhere(ROOT / target, anchor)
        ]
    return found


def test_links_lead_somewhere() -> None:
    assert not dangling_links()


def test_anchors_are_unique() -> None:
    for page in PAGES:
        ids = Counter(re.findall(r'<a (?:id|name)="([^"]+)"', page.read_text()))
        assert not [name for name, times in ids.items() if times > 1], page


# --- files and names --------------------------------------------------------------------------------------------------


NESTED = (PACKAGE / "http", PACKAGE / "predictors" / "native")
"""Packages whose folders pages name without their parents."""
NO_PATHS = ("http/1.1",)
"""What looks like a path: a protocol's name."""
OTHER_FILES = {"custom.py", "custom_litestar.py", "custom_fastapi.py", "custom_flask.py", "multipart.py", "click.py"}
"""Files of model folders, and of other packages."""


def dangling_paths() -> list[str]:
    """Paths in code spans and blocks that begin with a folder of ours, and are not there."""
    found = []
    for page in PAGES:
        text = page.read_text()
        code = [*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^ *```.*?^ *```", text, re.MULTILINE | re.DOTALL)]
        code += re.findall(r"(?<=\n\n)(?: {4}.*\n)+", text)
        for name in re.findall(r"(?<![^\s'])[\w.-]+/[\w./-]*(?![^\s':,])", "\n".join(code)):
            first = name.partition("/")[0]
            roots = [root for root in (ROOT, PACKAGE, *NESTED) if (root / first).is_dir() and first[0] != "."]
            if roots and name not in NO_PATHS and not any((root / name).exists() for root in roots):
                found.append(f"{relative(page)}: {name}")
    return found


def test_files_that_pages_name_exist() -> None:
    assert not dangling_paths()


def dangling_modules() -> list[str]:
    """Python files that pages name without a folder, and that are in none of ours."""
    known = {path.name for path in SOURCES} | OTHER_FILES
    return [
        f"{relative(page)}: {name}"
        for page in PAGES
        for name in re.findall(r"`([\w-]+\.py)`", page.read_text())
        if name not in known
    ]


def test_modules_that_pages_name_exist() -> None:
    assert not dangling_modules()


def dangling_names() -> list[str]:
    """Names of the package in roles (``:mod:``, ``:class:``, ...) and as ``module:name`` that do not exist."""
    found = []
    for path in (*SOURCES, *PAGES):
        text = path.read_text()
        names = re.findall(r":\w+:`~?drum_litestar\.([\w.]+)`", text)
        names += [f"{module}.{name}" for module, name in re.findall(r"\bdrum_litestar\.([\w.]+):(\w+)", text)]
        for name in names:
            parts = name.split(".")
            place = PACKAGE
            while parts and (place / parts[0]).is_dir():
                place /= parts.pop(0)
            if parts and (place / f"{parts[0]}.py").is_file():
                place /= f"{parts.pop(0)}.py"
            source = (place / "__init__.py" if place.is_dir() else place).read_text()
            if not all(re.search(rf"\b{part}\b", source) for part in parts):
                found.append(f"{relative(path)}: drum_litestar.{name}")
    return found


def test_names_of_the_package_exist() -> None:
    assert not dangling_names()


def dangling_variables() -> list[str]:
    """``DRUM_...`` names that a page has and no source file knows."""
    known = set(re.findall(r"\bDRUM_[A-Z0-9_]+\b", "\n".join(path.read_text() for path in SOURCES)))
    known |= set(re.findall(r"\bDRUM_[A-Z0-9_]+\b", CONTRACT.read_text()))
    return [
        f"{relative(page)}: {name}"
        for page in PAGES
        for name in sorted(set(re.findall(r"\b(DRUM_[A-Z0-9_]*[A-Z0-9])\b", page.read_text())) - known)
    ]


def test_settings_that_pages_name_exist() -> None:
    assert not dangling_variables()
