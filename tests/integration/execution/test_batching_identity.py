"""Answers of batches are the bytes of single ones: real workers, the native predictor, all known awkward CSV."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drum_litestar.execution.observer import NullObserver
from drum_litestar.execution.pool.pool import PoolExecutor
from drum_litestar.launcher.executor_choice import WORKER_BUILDER
from drum_litestar.predictors.protocol import ModelCall, Payload, Reply, TargetType
from drum_litestar.predictors.spec import PredictorSpec
from support.options import pool_options
from support.predictors.executors import begin, reply

# Answers each row with what the model sees of it: values, types of all columns, names, index.
WITNESS = """
import zlib
import pandas as pd
def load_model(code_dir): return 1
def score(data, model, **kwargs):
    types = repr(list(data.dtypes)) + repr(list(data.columns)) + repr(type(data.index[0]) if len(data) else 0)
    rows = [types + repr(list(data.iloc[row])) for row in range(len(data))]
    return pd.DataFrame({"Predictions": [float(zlib.crc32(row.encode())) for row in rows]})
"""
T = TypeVar("T")


class Rows(NullObserver):
    """Rows of each batch."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def batch_rows(self, rows: int) -> None:
        self.batches.append(rows)


class Witness:
    """One pool, kept for many examples, on a loop of its own."""

    def __init__(self, folder: Path) -> None:
        self.rows = Rows()
        self._loop = asyncio.new_event_loop()
        spec = PredictorSpec(code_dir=str(folder), target_type=TargetType.REGRESSION)
        options = pool_options(builder=WORKER_BUILDER, batch_max_rows=1000, queue_depth=1000, observer=self.rows)
        self._executor = PoolExecutor(spec, options)
        self.run(self._executor.start())
        self.run(self._executor.wait_started())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self._executor.shutdown(5))
        self._loop.close()

    def batched(self, calls: list[ModelCall]) -> list[tuple[int, bytes]]:
        async def main() -> list[Any]:
            return await asyncio.gather(*(begin(self._executor, call) for call in calls))

        return [(answer.status, answer.body) for answer in self.run(main())]

    def singly(self, calls: list[ModelCall]) -> list[tuple[int, bytes]]:
        async def main() -> list[Reply]:
            return [await reply(self._executor, call) for call in calls]

        return [(answer.status, answer.body) for answer in self.run(main())]


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    folder = tmp_path_factory.mktemp("witness")
    (folder / "custom.py").write_text(WITNESS)
    witness = Witness(folder)
    yield witness
    witness.close()


def csv(body: bytes, **fields: Any) -> ModelCall:
    fields.setdefault("mimetype", "text/csv")
    return ModelCall(kind="predict", x=Payload(data=body, size=len(body), **fields))


NUMBERS = ["0", "1", "-3", "2.5", "3.0", "1e3", "007", "", "NA", "nan", "inf", "-0", ".5", "0x1F", "1_0", " 5", "5 "]
WORDS = ["x", "two words", "True", "false", "null", "é", "2024-01-01"]
EXTREMES = ["9223372036854775808", "9007199254740993", "1e400"]
CELLS = st.sampled_from([*NUMBERS, *WORDS, *EXTREMES])
QUOTED = st.sampled_from(['"a\nb"', '"1"', '"x,y"', '""', '"he said ""no"""'])
FIELD = st.one_of(CELLS, CELLS, CELLS, QUOTED)
HEADERS = st.sampled_from(["a", "a,b", "a,b,c", "a,a", ",a,b", '"a",b', "a b,c"])


@st.composite
def bodies(draw: st.DrawFn) -> list[bytes]:
    """Two to eight bodies, most with the same header; some lines too long, too short or blank."""
    header = draw(HEADERS)
    width = header.count(",") + 1
    cells = draw(st.sampled_from([CELLS, CELLS, FIELD, st.sampled_from(["1", "2.5", "3.0"])]))
    texts = []
    for _ in range(draw(st.integers(2, 8))):
        rows = draw(st.lists(st.lists(cells, min_size=width, max_size=width), min_size=0, max_size=3))
        lines = [",".join(row) for row in rows]
        flaw = draw(st.sampled_from(["none"] * 8 + ["blank", "long", "short", "index", "other header", "space"]))
        if flaw == "blank":
            lines.insert(draw(st.integers(0, len(lines))), "")
        elif flaw == "space":
            lines.append("  ")
        elif flaw == "long" and lines:
            lines[-1] += ",9,9"
        elif flaw == "short" and lines:
            lines[-1] = lines[-1].rpartition(",")[0]
        elif flaw == "index":
            lines = [f"i{number},{line}" for number, line in enumerate(lines)]
        first = "other" if flaw == "other header" else header
        end = draw(st.sampled_from(["\n", "\n", "\n", "\r\n"]))
        text = end.join([first, *lines]) + draw(st.sampled_from([end, end, ""]))
        texts.append(text.encode("utf-8-sig" if draw(st.sampled_from([False] * 5 + [True])) else "utf-8"))
    return texts


@given(bodies())
@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bodies(witness: Witness, texts: list[bytes]) -> None:
    calls = [csv(text) for text in texts]
    assert witness.batched(calls) == witness.singly(calls)


@pytest.mark.parametrize(
    "texts",
    [
        [b"a\n1\n", b"a\n1.5\n", b"a\n\n2\n", b"a\nx\n"],
        [b"a,b\n1,\n", b"a,b\n1,2\n", b"a,b\n1,x\n"],
        [b"a\n1\n", b"a\n1\n", b"a\n1\n"],
        [b",a\n0,1\n", b",a\n7,2\n"],
        [b"a,b\n0,1,2\n", b"a,b\n0,1\n"],
        [b'a,b\n"x\ny",1\n', b"a,b\nz,1\n"],
        [b"\xef\xbb\xbfa\n1\n", b"\xef\xbb\xbfa\n2\n", b"a\n3\n"],
        [b"a\r\n1\r\n", b"a\r\n2\r\n", b"a\n3\n"],
        [b"a,b\n1,2,3\n4,5\n", b"a,b\n1,2\n", b"a,b\n3,4\n"],
        [b"a\n\xff\n", b"a\nx\n", b"a\ny\n"],
        [b"a\n1\n", b"a\n18446744073709551616\n", b"a\n9223372036854775808\n", b"a\n-1\n"],
        [b"a\nTrue\n", b"a\nFalse\n", b"a\nx\n", b"a\n\n"],
    ],
    ids=lambda texts: texts[-1].decode("latin-1"),
)
def test_known_traps(witness: Witness, texts: list[bytes]) -> None:
    calls = [csv(text) for text in texts]
    assert witness.batched(calls) == witness.singly(calls)


def test_one_bad_request_fails_alone_with_its_own_error(witness: Witness) -> None:
    calls = [csv(text) for text in (b"a,b\n1,2\n", b"a,b\n1,2\n1,2,3,4\n", b"a,b\n3,4\n")]
    statuses = [status for status, _ in witness.batched(calls)]
    assert statuses[0] == statuses[2] == 200
    assert statuses[1] >= 400
    assert witness.batched(calls) == witness.singly(calls)


def test_calls_of_one_kind_are_really_batched(witness: Witness) -> None:
    calls = [csv(f"a,b\n{number}.5,x{number}\n2.5,y\n".encode()) for number in range(50)]
    witness.rows.batches.clear()
    batched = witness.batched(calls)
    assert witness.rows.batches == [100]
    assert batched == witness.singly(calls)


@pytest.mark.parametrize(
    "fields",
    [{"mimetype": "text/plain"}, {"charset": "utf-8"}, {"mimetype": None}, {"mimetype": None, "filename": "X.csv"}],
)
def test_other_options_are_not_batched(witness: Witness, fields: dict[str, Any]) -> None:
    witness.rows.batches.clear()
    calls = [csv(b"a\n1\n"), csv(b"a\n2\n", **fields)]
    assert witness.batched(calls) == witness.singly(calls)
    assert witness.rows.batches == []


@asynccontextmanager
async def served(folder: Path, score: str) -> AsyncIterator[tuple[PoolExecutor, Rows]]:
    (folder / "custom.py").write_text(f"import pandas as pd\ndef load_model(d): return 1\n{score}\n")
    rows = Rows()
    spec = PredictorSpec(code_dir=str(folder), target_type=TargetType.REGRESSION)
    executor = PoolExecutor(spec, pool_options(builder=WORKER_BUILDER, workers=2, batch_max_rows=100, observer=rows))
    await executor.start()
    await executor.wait_started()
    try:
        yield executor, rows
    finally:
        await executor.shutdown(5)


def test_a_hook_with_another_number_of_rows_ends_merging(tmp_path: Path) -> None:
    score = "def score(data, model, **kw): return pd.DataFrame({'Predictions': [float(data.a.sum())]})"

    async def main() -> None:
        async with served(tmp_path, score) as (executor, rows):
            calls = [csv(f"a\n{number}\n1\n".encode()) for number in range(4)]
            for _ in range(3):
                answers = await asyncio.gather(*(begin(executor, call) for call in calls))
                assert [answer.body for answer in answers if isinstance(answer, Reply)] == [
                    f'{{"predictions":[{number + 1}.0]}}'.encode() for number in range(4)
                ]
            assert rows.batches == []

    asyncio.run(main())
