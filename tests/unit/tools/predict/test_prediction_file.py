from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from drum_litestar.errors import MissingExtraError, StartupError, UsageError
from drum_litestar.tools.predict.prediction_file import CsvWriter, OutputFile


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with OutputFile(str(path), table=True) as stream:
        stream.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_after_a_failure(tmp_path: Path) -> None:
    def fail() -> None:
        with OutputFile(str(tmp_path / "out.csv"), table=True) as stream:
            stream.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not list(tmp_path.iterdir())


def test_a_link_and_a_device_keep_what_they_are(tmp_path: Path) -> None:
    link, target = tmp_path / "link.csv", tmp_path / "target.csv"
    link.symlink_to(target)
    with OutputFile(str(link), table=True) as stream:
        stream.write(b"x")
    assert link.is_symlink()
    assert target.read_bytes() == b"x"
    with OutputFile(os.devnull, table=True) as stream:
        stream.write(b"x")
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no/out.csv", "--output {dir}/no/out.csv cannot be written: No such file or directory"),
        ("", "--output {dir} is a directory: name a file in it"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, name: str, text: str) -> None:
    path = f"{tmp_path}/{name}".rstrip("/")
    with pytest.raises(UsageError) as failure, OutputFile(path, table=True):
        raise AssertionError
    assert str(failure.value) == text.format(dir=tmp_path)


def test_other_formats_are_refused_for_tables_only(tmp_path: Path) -> None:
    name = str(tmp_path / "out.xlsx")
    with pytest.raises(UsageError, match=r"predictions are written as \.csv or \.parquet, not as \.xlsx"):
        OutputFile(name, table=True)
    with OutputFile(name, table=False) as stream:
        stream.write(b"x")


def test_parquet_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises((MissingExtraError, ModuleNotFoundError), match="pyarrow"):
        OutputFile(str(tmp_path / "out.parquet"), table=True)


def test_rows_of_other_columns_are_refused(tmp_path: Path) -> None:
    with OutputFile(str(tmp_path / "out.csv"), table=True) as stream:
        writer = CsvWriter(stream)
        writer.write(b"a\n", b"1\n")
        writer.write(b"a\n", b"2\n")
        with pytest.raises(StartupError, match="--whole"):
            writer.write(b"b\n", b"3\n")
        writer.close()
    assert (tmp_path / "out.csv").read_bytes() == b"a\n1\n2\n"
