"""Settings that are sizes: bytes, or a number with a unit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drum_litestar.cli.main import main
from drum_litestar.errors import SettingsError
from drum_litestar.settings.declaration import declared
from drum_litestar.settings.resolve import resolve
from drum_litestar.settings.server_settings import ServerSettings
from drum_litestar.settings.values import LARGEST_SIZE, read_value, shown_size

SIZES = {setting.option.name: setting for setting in declared(ServerSettings) if setting.is_size}


def read(text: str) -> Any:
    return resolve({}, {"DRUM_QUEUE_MEMORY": text}).settings.admission.queue_memory


def test_every_size_takes_units() -> None:
    assert set(SIZES) == {
        "DRUM_QUEUE_MEMORY",
        "DRUM_MAX_REQUEST_HEAD_SIZE",
        "DRUM_FASTAPI_MAX_UPLOAD_SIZE",
        "DRUM_SPOOL_THRESHOLD",
        "DRUM_FORM_MAX_FIELD_SIZE",
        "DRUM_COMPRESS_ABOVE",
    }
    resolution = resolve({}, dict.fromkeys(SIZES, "100 kB"))
    assert {item.value for item in resolution.values if item.setting.is_size} == {100_000}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("104857600", 104_857_600),
        ("100MB", 100_000_000),
        ("100mb", 100_000_000),
        ("100 M", 100_000_000),
        ("2GiB", 2 * 1024**3),
        ("2gib", 2 * 1024**3),
        ("2Gi", 2 * 1024**3),
        ("64 KiB", 65_536),
        ("10kB", 10_000),
        ("10KB", 10_000),
        ("1TB", 1000**4),
        ("1TiB", 1024**4),
        ("1.5GB", 1_500_000_000),
        (".5MiB", 524_288),
        ("7 bytes", 7),
        ("7b", 7),
        ("1e6", 1_000_000),
        ("0", 0),
    ],
)
def test_spellings(text: str, size: int) -> None:
    assert read(text) == size
    assert read(f" {text} ") == size


@pytest.mark.parametrize("payload", ['{"type": "string", "payload": "2MiB"}', '"2MiB"', "2MiB", "2097152"])
def test_runtime_parameters(payload: str) -> None:
    settings = resolve({}, {"MLOPS_RUNTIME_PARAM_DRUM_SPOOL_THRESHOLD": payload}).settings
    assert settings.uploads.spool_threshold == 2 * 1024**2


@pytest.mark.parametrize(
    "text", ["10XB", "MB", ".", "1,5GB", "ten", "1 0", "0x10", "1e", "--1", "nan", "1GBB", "1e9999"]
)
def test_what_is_no_size_is_refused_with_the_parameter_the_value_and_what_is_allowed(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(text)
    assert str(caught.value) == (
        f"environment variable DRUM_QUEUE_MEMORY: value '{text}' is not a size (allowed: at least 0 bytes, or with a "
        "unit: kB, MB, GB, TB, KiB, MiB, GiB, TiB)"
    )


@pytest.mark.parametrize("text", ["-1", "-1kB", "1e400", "9999999TiB", "1e999GB"])
def test_bounds_hold_with_units_too(text: str) -> None:
    with pytest.raises(SettingsError, match="is out of range"):
        read(text)
    with pytest.raises(SettingsError, match=r"2MiB' is out of range \(allowed: 1024 to 1048576 bytes, or with a unit"):
        resolve({}, {"DRUM_MAX_REQUEST_HEAD_SIZE": "2MiB"})


def test_fractions_of_a_byte_are_cut_off_with_a_warning() -> None:
    (notice,) = resolve({}, {"DRUM_QUEUE_MEMORY": "1.0005kB"}).notices
    assert notice.text == "environment variable DRUM_QUEUE_MEMORY: value '1.0005kB' is cut off to 1000"


def test_the_server_does_not_start(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_FASTAPI_MAX_UPLOAD_SIZE", "10XB")
    assert main(["server", "--code-dir", ".", "--target-type", "regression", "--address", "127.0.0.1:0"]) == 2
    assert "DRUM_FASTAPI_MAX_UPLOAD_SIZE: value '10XB' is not a size" in capsys.readouterr().err


def test_the_table_of_settings_shows_them_readably(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    shown = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines()}
    assert {name: shown[name] for name in SIZES} == {
        "DRUM_QUEUE_MEMORY": "256MB",
        "DRUM_MAX_REQUEST_HEAD_SIZE": "64KiB",
        "DRUM_FASTAPI_MAX_UPLOAD_SIZE": "100MiB",
        "DRUM_SPOOL_THRESHOLD": "10MiB",
        "DRUM_FORM_MAX_FIELD_SIZE": "500kB",
        "DRUM_COMPRESS_ABOVE": "never",
    }


@given(st.integers(0, LARGEST_SIZE) | st.sampled_from([1000, 1024]).flatmap(lambda k: st.integers(0, 9).map(k.__mul__)))
def test_what_is_shown_can_be_read(size: int) -> None:
    assert read_value(SIZES["DRUM_QUEUE_MEMORY"], shown_size(size)) == size
