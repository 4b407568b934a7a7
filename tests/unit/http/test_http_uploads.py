"""Limits of forms and bodies, and spooling to disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from drum_litestar.predictors.protocol import TargetType
from drum_litestar.settings.groups.limits import UploadSettings
from http_serving import CSV, FORM, Mirror, Serving, X, card, form, mirror, options, post

TOO_LARGE = (
    b'{"message":"ERROR: 413 Request Entity Too Large: The data value transmitted exceeds the capacity limit.%s"}\n'
)
LIMITS = UploadSettings(max_upload_size=8 * 1024 * 1024, spool_threshold=100_000)


@pytest.fixture(scope="module")
def spool_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spool")


@pytest.fixture(scope="module")
def parts(spool_dir: Path) -> Iterator[tuple[Serving, Mirror]]:
    with mirror(settings=options(uploads=msgspec.structs.replace(LIMITS, spool_dir=str(spool_dir)))) as pair:
        yield pair


@pytest.fixture(scope="module")
def server(parts: tuple[Serving, Mirror]) -> Serving:
    return parts[0]


FORM_LIMITS = {
    "1000 parts": ([('name="f"', b"1")] * 999, None),
    "1001 parts": ([('name="f"', b"1")] * 1000, b" (DRUM_FORM_MAX_PARTS)"),
    "500000 bytes of a field": ([('name="f"', b"1" * 500_000)], None),
    "one more": ([('name="f"', b"1" * 500_001)], b" (DRUM_FORM_MAX_FIELD_SIZE)"),
    "two fields of 300000": ([('name="f"', b"1" * 300_000)] * 2, None),
    "64 headers": ([('name="f"' + "\r\nA: b" * 63, b"1")], None),
    "65 headers": ([('name="f"' + "\r\nA: b" * 64, b"1")], b""),
    "a header of 16 KiB": ([('name="f"\r\nA: ' + "b" * 17_000, b"1")], b""),
    "a header without end": ([('name="f"\r\nA: ' + "b" * 700_000, b"1")], b""),
}


@pytest.mark.parametrize(("before", "named"), FORM_LIMITS.values(), ids=list(FORM_LIMITS))
def test_form_limits(server: Serving, before: list[tuple[str, bytes]], named: bytes | None) -> None:
    """``named``: the setting in the text of the 413, None where the form is accepted."""
    with server.send(post("/predict/", form(*before, (X, CSV)), FORM, close=False)) as connection:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        assert int(head.split()[1]) == (200 if named is None else 413), head
        if named is not None:
            assert head.endswith(TOO_LARGE % named)


def test_bodies_over_the_upload_limit(server: Serving) -> None:
    limit = LIMITS.max_upload_size
    expected = b'{"message":"Request body too large. Maximum size: %d bytes (DRUM_FASTAPI_MAX_UPLOAD_SIZE)"}\n' % limit
    announced = server.send(post("/predict/", b"", length=limit + 1))
    chunked = server.send(
        b"POST /predict/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n" % (limit + 1)
        + b"x" * (limit + 1)
    )
    for connection in (announced, chunked):
        with connection:
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert answer.endswith(expected)


@pytest.mark.parametrize("size", [99_999, 100_000, 100_001, 3_000_000, 8 * 1024 * 1024])
@pytest.mark.parametrize("shape", ["raw", "chunked", "form"])
def test_large_bodies_are_spooled_and_the_files_removed(
    parts: tuple[Serving, Mirror], spool_dir: Path, size: int, shape: str
) -> None:
    server, predictor = parts
    predictor.paths.clear()
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[: size - 1000] if shape == "form" and size > 8_000_000 else data[:size]
    if shape == "chunked":
        answer = server.client.post("/predict/", content=iter([data[:7], data[7:70_000], data[70_000:]]))
    elif shape == "form":
        answer = server.client.post("/predict/", files={"X": ("x.csv", data), "X.colnames": ("c", b"a")})
    else:
        answer = server.client.post("/predict/", content=data, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 200
    x = msgspec.json.decode(answer.content)["x"]
    assert x["size"] == len(data)
    assert x["spooled"] is (len(data) > LIMITS.spool_threshold)
    assert len(predictor.paths) == (len(data) > LIMITS.spool_threshold)
    assert not [path for path in predictor.paths if Path(path).exists()]


def test_memory_is_shared_by_the_parts_of_a_form(server: Serving) -> None:
    with mirror(card(TargetType.TRANSFORM), options(uploads=LIMITS)) as (transforming, _):
        half = b"x" * 60_000
        answer = transforming.client.post("/transform/", files={"y": ("y.csv", half), "X": ("x.csv", half)}).json()
        assert answer["y"]["spooled"] is False
        assert answer["x"]["spooled"] is True
