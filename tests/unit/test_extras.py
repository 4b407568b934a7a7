from __future__ import annotations

from pathlib import Path

import pytest

from drum_litestar.errors import MissingExtraError
from drum_litestar.extras import require


def test_present() -> None:
    assert require("json.decoder", "decoding", "json").__name__ == "json.decoder"


def test_absent_names_the_command() -> None:
    with pytest.raises(MissingExtraError) as caught:
        require("no_such_package.part", "reading models", "onnx")
    assert str(caught.value) == (
        "reading models needs the package 'no_such_package', which is not installed. "
        "Install it with: pip install 'drum-litestar[onnx]'"
    )
    assert caught.value.exit_code == 1


def test_broken_installation_is_not_a_missing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_package.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        require("broken_package", "x", "y")
