"""Settings that cannot work on this machine: ``server``, ``settings`` and ``check`` refuse them with the same text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drum_litestar.cli.main import main
from drum_litestar.errors import SettingsError
from support.plans import build_plan


@pytest.fixture(params=["DRUM_WORKER_USER", "DRUM_WORKER_PYTHON", "DRUM_SSL_CERTFILE"])
def unusable(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, str], str]:
    """Environment variables, and the error text for them."""
    file = tmp_path / "junk"
    file.write_text("junk")
    environ, text = {
        "DRUM_WORKER_USER": ({}, "no-such-user': there is no such user"),
        "DRUM_WORKER_PYTHON": ({}, "/no/python': there is no such file"),
        "DRUM_SSL_CERTFILE": ({"DRUM_SSL_KEYFILE": str(file)}, f"{file}' holds no usable certificate in PEM format"),
    }[request.param]
    return {**environ, request.param: text.partition("'")[0]}, f"{request.param}='{text}"


def test_server_refuses(unusable: tuple[dict[str, str], str], tmp_path: Path) -> None:
    environ, text = unusable
    with pytest.raises(SettingsError) as caught:
        build_plan(["server", "-cd", str(tmp_path), "--address", "127.0.0.1:0"], environ)
    assert (str(caught.value), caught.value.exit_code) == (text, 2)


@pytest.mark.parametrize(
    ("address", "probes"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("127.0.0.1", "localhost"),
        ("0.0.0.0:8080", "127.0.0.1:8080"),
        ("127.0.0.1:8080", ":8080"),
        ("[::1]:8080", "[::]:8080"),
    ],
)
def test_probes_need_a_port_of_their_own(address: str, probes: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        build_plan(["server", "-cd", str(tmp_path), "--address", address], {"DRUM_PROBE_ADDRESS": probes})
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith("DRUM_PROBE_ADDRESS='")
    assert "is the server's own address" in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"DRUM_GRPC_ADDRESS": "localhost:8080"}, "is the server's own address (127.0.0.1:8080)"),
        (
            {"DRUM_GRPC_ADDRESS": "0.0.0.0:8081", "DRUM_PROBE_ADDRESS": "127.0.0.1:8081"},
            "is DRUM_PROBE_ADDRESS (127.0.0.1:8081)",
        ),
    ],
)
def test_grpc_needs_a_port_of_its_own(environ: dict[str, str], text: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        build_plan(["server", "-cd", str(tmp_path), "--address", "127.0.0.1:8080"], environ)
    start = f"DRUM_GRPC_ADDRESS='{environ['DRUM_GRPC_ADDRESS']}'"
    assert str(caught.value) == f"{start} {text}: gRPC needs a port of its own"


@pytest.mark.parametrize(
    ("address", "probes"),
    [("127.0.0.1:8080", "127.0.0.1:8081"), ("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1:8080", "127.0.0.2:8080")],
)
def test_ports_that_can_be_bound_both(address: str, probes: str, tmp_path: Path) -> None:
    plan = build_plan(["server", "-cd", str(tmp_path), "--address", address], {"DRUM_PROBE_ADDRESS": probes})
    assert str(plan.settings.listen.probe_address) == probes


def test_settings_and_check_report_it(
    unusable: tuple[dict[str, str], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environ, text = unusable
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert main(["settings"]) == 2
    assert capsys.readouterr().err == f"drum-litestar: error: {text}\n"
    assert main(["check", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [each["text"] for each in findings if each["topic"] == "settings"] == [text]
