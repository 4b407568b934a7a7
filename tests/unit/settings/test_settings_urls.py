from __future__ import annotations

import pytest

from drum_litestar.errors import SettingsError
from drum_litestar.middleware.cors import CORSMiddleware
from drum_litestar.settings.resolve import resolve
from drum_litestar.settings.urls import check_url_prefix


@pytest.mark.parametrize("prefix", ["/", "/model", "/a/b/", "/v1.0_x-y~z", "/a+b:c@d,e;f=g", "/é"])
def test_prefixes(prefix: str) -> None:
    check_url_prefix(prefix)
    assert resolve({}, {"URL_PREFIX": prefix}).settings.listen.url_prefix == prefix


@pytest.mark.parametrize(
    ("prefix", "character"),
    [
        ("/a?b", "?"),
        ("/a#b", "#"),
        ("/a%20b", "%"),
        ("/a b", " "),
        ("/a\tb", "\t"),
        ("/a\r\nb", "\r"),
        ("/a\x00b", "\x00"),
        ("/a\x7fb", "\x7f"),
        ("/a\u200bb", "\u200b"),
        ("/a\u00a0b", "\u00a0"),
        ("/{x}", "{"),
        ("/x}", "}"),
    ],
)
def test_refused_prefixes(prefix: str, character: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve({}, {"URL_PREFIX": prefix})
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(f"URL_PREFIX={prefix!r} must not contain {character!r}: ")
    assert str(caught.value).isprintable()


def test_a_prefix_starts_with_a_slash() -> None:
    with pytest.raises(SettingsError, match=r"^URL_PREFIX='pfx' must start with a slash$"):
        check_url_prefix("pfx")


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "https://a.example",
        "http://localhost:3000",
        "http://[::1]:8080",
        "HTTPS://A.example",
        "https://a.example/",  # its slash is taken off
        "chrome-extension://abcdef",
    ],
)
def test_origins(origin: str) -> None:
    environ = {"DRUM_CORS_ENABLED": "1", "DRUM_CORS_ORIGINS": f"https://b.example, {origin}"}
    origins = resolve({}, environ).settings.cors.origins
    assert origins == ("https://b.example", origin)
    CORSMiddleware(None, origins=origins)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "origin",
    [
        "foo",
        "a.example",
        "a.example:443",
        "//a.example",
        "https://",
        "https:///",
        "https://a.example/path",
        "https://a.example//",
        "https://a.example:",
        "https://a.example:https",
        "https://a.example?x",
        "https://user@a.example",
        "https://*.example",
        "https://ä.example",
        "https://a.example https://b.example",
        "[https://a.example]",
    ],
)
def test_an_entry_that_no_origin_can_equal(origin: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve({}, {"DRUM_CORS_ENABLED": "1", "DRUM_CORS_ORIGINS": f"https://b.example,{origin}"})
    assert caught.value.exit_code == 2
    shown = origin.replace("user@", "*****@")
    assert str(caught.value).startswith(f"DRUM_CORS_ORIGINS: {shown!r} is no origin")


def test_a_list_of_nothing() -> None:
    with pytest.raises(SettingsError, match="DRUM_CORS_ORIGINS names no origin"):
        resolve({}, {"DRUM_CORS_ENABLED": "1", "DRUM_CORS_ORIGINS": " , "})
