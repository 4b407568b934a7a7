"""What is sent: the rows are as users have them, they vary, and every server gets the same ones."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import io
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

numpy = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")

from benchmarks import contenders  # noqa: E402
from benchmarks.contenders.base import Contender, drum_request, rows_of  # noqa: E402
from benchmarks.contenders.ours import ARROW  # noqa: E402
from benchmarks.runner.plain_loop import plain_loop, predictor_spec  # noqa: E402
from benchmarks.workload import tables  # noqa: E402
from benchmarks.workload.models import HANG_SECONDS, MODELS, make  # noqa: E402
from benchmarks.workload.prediction_request import PredictionRequest  # noqa: E402
from benchmarks.workload.scenarios import BY_NAME, DATA, MIXED_SIZES, SCENARIOS, Scenario  # noqa: E402

APPS = Path(contenders.__file__).with_name("apps")
JSON_ROWS = list({one.request: one for one in contenders.CONTENDERS if one.request is not drum_request}.values())
"""One contender for each way to write rows otherwise than as CSV."""


def one_row(data: str) -> tuple[bytes, ...]:
    return BY_NAME[f"{data}, 1 row, c=16"].bodies()


def cells(data: str) -> list[str]:
    """All values of the one-row requests."""
    return [cell for body in one_row(data) for cell in body.decode().splitlines()[1].split(",")]


def read_tensors(request: bytes) -> dict[str, Any]:
    """A binary request with its tensors' values as ``data``, as JSON would have them."""
    body: dict[str, Any]
    body, end = json.JSONDecoder().raw_decode(request.decode("latin-1"))
    rest = request[end:].lstrip(b" ")
    for tensor in body["inputs"]:
        block, rest = (part := tensor["parameters"]["binary_data_size"]) and (rest[:part], rest[part:])
        tensor["data"] = numpy.frombuffer(block, "<f8").tolist() if tensor["datatype"] == "FP64" else texts(block)
    assert not rest
    return body


def texts(block: bytes) -> list[str | None]:
    found: list[str | None] = []
    while block:
        end = 4 + int.from_bytes(block[:4], "little")
        found.append(block[4:end].decode() or None)
        block = block[end:]
    return found


def frames_of(request: PredictionRequest) -> list[Any]:
    """The frames in requests of any contender."""
    if request.content_type == "text/csv":
        return [pd.read_csv(io.BytesIO(body)) for body in request.bodies]
    if request.content_type == ARROW:
        return [pa.ipc.open_stream(body).read_all().to_pandas() for body in request.bodies]
    found = []
    for body in map(read_tensors, request.bodies) if request.more_headers else map(json.loads, request.bodies):
        if "rows" in body:
            found.append(pd.DataFrame(body["rows"]))
        elif (split := body.get("dataframe_split")) is not None:
            found.append(pd.DataFrame(**split))
        elif len(body["inputs"]) > 1:
            found.append(pd.DataFrame({tensor["name"]: tensor["data"] for tensor in body["inputs"]}))
        else:
            (tensor,) = body["inputs"]
            width = tensor["shape"][1]
            data = tensor["data"]
            found.append(pd.DataFrame([data[start : start + width] for start in range(0, len(data), width)]))
    return found


@pytest.mark.parametrize("data", ["ridge", "wide", "forest"])
def test_floats_have_all_their_digits(data: str) -> None:
    digits = sorted(len(cell.lstrip("-0.").replace(".", "")) for cell in cells(data))
    assert digits[len(digits) // 2] >= 16
    assert digits[len(digits) // 10] >= 15
    assert all(repr(float(cell)) == cell for cell in cells(data)), "as DataFrame.to_csv writes them"


def test_rounded_ones_are_the_same_rows_with_four_decimals() -> None:
    full, rounded = cells("ridge"), cells("ridge rounded")
    assert [f"{float(cell):.4f}" for cell in full] == rounded


@pytest.mark.parametrize("data", DATA)
def test_requests_of_one_row_all_differ(data: str) -> None:
    bodies = one_row(data)
    assert len(set(bodies)) == len(bodies) == 64
    assert all(body.count(b"\n") == 2 for body in bodies)
    assert max(map(len, bodies)) < 12_000


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s.kind == "closed"], ids=lambda s: s.name)
def test_requests_have_their_rows_and_are_few_megabytes(scenario: Any) -> None:
    bodies = scenario.bodies()
    assert len(set(bodies)) == len(bodies)
    assert sum(map(len, bodies)) < 3_000_000
    if scenario.content_type == "text/csv":
        sizes = scenario.sizes or (scenario.rows,) * len(bodies)
        assert tuple(len(frame) for frame in scenario.frames()) == sizes
        assert len(bodies) == len(scenario.frames())


def test_rows_are_the_same_each_time() -> None:
    for name, table in tables.TABLES.items():
        again = table.rows(64)
        assert [table.csv(again.iloc[row : row + 1]) for row in range(64)] == list(tables.csv_bodies(name, (1,) * 64))
        assert not table.rows(64, tables.TRAINING).equals(again), "a model is not asked for what it was trained with"


def test_a_mixed_table_has_blanks_quotes_and_changing_types() -> None:
    bodies = one_row("mixed")
    frames = [pd.read_csv(io.BytesIO(body)) for body in bodies]
    whole = pd.concat(frames)
    for column in ("Age", "Cabin", "Embarked"):
        assert 0 < whole[column].isna().sum() < 64, column
        assert len({str(frame[column].isna().tolist()) for frame in frames}) == 2, column
    assert {frame["Ticket"].dtype.kind for frame in frames} > {"i"}, "a ticket of digits is read as a number"
    assert whole["Name"].str.contains(", ").all()
    assert any(b'""' in body for body in bodies)
    assert not all(b'""' in body for body in bodies)
    ages = pd.read_csv(io.BytesIO(b"".join(tables.csv_bodies("mixed", (400,)))))["Age"].dropna()
    assert 0 < (ages % 1 == 0.5).sum() < len(ages)


def test_mixed_sizes_come_in_one_order_for_all() -> None:
    sizes = BY_NAME["ridge, mixed sizes, c=16"].sizes
    assert sizes == tables.spread(MIXED_SIZES)
    assert Counter(sizes) == MIXED_SIZES
    assert sum(MIXED_SIZES.values()) == 100
    assert sizes[:10] == (1, 10, 1, 1, 100, 1, 10, 1, 1, 10)
    large = [turn for turn, rows in enumerate(sizes) if rows >= 1_000]
    assert min(after - before for before, after in pairwise(large)) > 10, "large ones are spread"


def test_a_body_of_1_mb_has_that_size() -> None:
    (body,) = BY_NAME["ridge, body of 1 MB, c=4"].bodies()
    assert 950_000 < len(body) < 1_050_000


def test_the_last_body_of_a_storm_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = BY_NAME["deadline storm, c=16"]
    make("hang", tmp_path)
    module = _module(tmp_path)
    slept: list[float] = []
    monkeypatch.setattr(module.time, "sleep", slept.append)
    bodies = scenario.bodies()
    assert len(set(bodies)) == len(bodies) == tables.HANGS_EVERY
    for body in bodies[:-1]:
        module.score(pd.read_csv(io.BytesIO(body)), None)
    assert not slept
    module.score(pd.read_csv(io.BytesIO(bodies[-1])), None)
    assert slept == [HANG_SECONDS]


@pytest.mark.parametrize("name", ["await", "proxy"])
def test_async_hooks_answer_what_the_functions_do(name: str, tmp_path: Path) -> None:
    make(name, tmp_path / "async")
    make(MODELS[name].sync, tmp_path / "sync")
    awaited, sync = _module(tmp_path / "async"), _module(tmp_path / "sync")
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    assert asyncio.run(awaited.score(frame, None)).equals(sync.score(frame, None))
    if name == "proxy":
        assert asyncio.run(_chunks(awaited)) == [chunk.to_json() for chunk in sync.chat({}, None)]


async def _chunks(module: Any) -> list[str]:
    return [chunk.to_json() async for chunk in module.chat({}, None)]


def _module(folder: Path) -> Any:
    spec = importlib.util.spec_from_file_location("custom", folder / "custom.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_wide_table_has_300_columns() -> None:
    assert {frame.shape for frame in BY_NAME["wide, 100 rows, c=16"].frames()} == {(100, 300)}


@pytest.fixture
def fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight requests of each kind, which have no more to show than 64."""
    monkeypatch.setattr(Scenario, "_different", property(lambda scenario: 8 if scenario.rows == 1 else 1))


@pytest.mark.parametrize("one", JSON_ROWS, ids=lambda one: one.name)
@pytest.mark.parametrize("name", [f"{data}, 1 row, c=16" for data in DATA] + ["mixed, 100 rows, c=16"])
def test_every_contender_gets_the_same_rows(one: Contender, name: str, fewer: None) -> None:
    scenario = BY_NAME[name]
    assert one.absent(scenario) is None
    expected = frames_of(PredictionRequest(scenario.path, scenario.bodies(), scenario.content_type))
    for frame, other in zip(expected, frames_of(one.request(scenario)), strict=True):
        mine = [[None if pd.isna(value) else str(value) for value in row] for row in frame.to_numpy().tolist()]
        theirs = [[None if pd.isna(value) else str(value) for value in row] for row in other.to_numpy().tolist()]
        assert [[_plain(cell) for cell in row] for row in mine] == [[_plain(cell) for cell in row] for row in theirs]


def _plain(cell: str | None) -> float | str | None:
    """Numbers as numbers: a ticket of digits is read as one, and JSON has it as text."""
    try:
        return None if cell is None else float(cell)
    except ValueError:
        return cell


def test_the_mixed_model_answers_all_rows_alike_as_csv_and_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    make("mixed", tmp_path)
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    monkeypatch.syspath_prepend(str(APPS))
    served = importlib.import_module("served_model")
    from_frame, from_rows = served.predictor(), served.rows_predictor()
    scenario = BY_NAME["mixed, 1 row, c=16"]
    answers = [from_frame(pd.read_csv(io.BytesIO(body))) for body in scenario.bodies()]
    assert answers == [from_rows(rows_of(frame)) for frame in scenario.frames()]
    assert len({round(answer, 9) for (answer,) in answers}) > 50
    assert {answer > 0.5 for (answer,) in answers} == {True, False}


def test_the_plain_loop_goes_both_ways(tmp_path: Path) -> None:
    mixed = BY_NAME["mixed, 1 row, c=16"]
    public, short = (predictor_spec(str(tmp_path), mixed, way) for way in ("public", "short"))
    assert (public.shortcuts, short.shortcuts) == (False, True)
    assert (public.positive_class_label, public.negative_class_label) == tables.LABELS
    make("echo", tmp_path)
    rates = plain_loop(tmp_path, BY_NAME["unstructured JSON, c=16"], "public", 2, 0.01, [])
    assert len(rates) == 2
    assert min(rates) > 0


def test_an_upload_has_its_size() -> None:
    body = tables.csv_body_of_size(1_000_000)
    assert 1_000_000 <= len(body) < 1_300_000
    header, *rows = body.decode().splitlines()
    assert tuple(header.split(",")) == tables.COLUMNS
    assert {len(row.split(",")) for row in rows} == {len(tables.COLUMNS)}
