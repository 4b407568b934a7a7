"""CSV bodies, common and awkward, each read by our parser and by ``pd.read_csv``, and compared to the last bit.

Run as a script it does so in the interpreter at hand, which needs pandas, numpy, msgspec and this package on its path,
and may be as old as a worker's. It ends with 1 and the first differences if there are any.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import re
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from drum_litestar.predictors.native.shortcuts.csv_merge import merge_csv
from drum_litestar.predictors.native.shortcuts.csv_parser import CsvParser, csv_parser

SEED = 20260127
BOM = b"\xef\xbb\xbf"
_HUGE_EXPONENT = re.compile(rb"[eE][+-]?\d{6}")
"""From ``1e2147483648`` on pandas 2.3 ends the process, however it is read."""

COMMON = (
    b"a,b\n1,2\n",
    b"a,b\n1.5,2\n3.25,-4\n",
    b"a,b\r\n1.5,2\r\n3,4",
    b"a\n1\n2\n",
    b"a\nx\n",
    b"a,b,c\n1,,x\n,2.5,\n",
    b"a,b\nTrue,false\nFalse,TRUE\n",
    b"a,b\nTrue,\n,false\n",
    b'name,age\n"Braund, Mr. Owen ""O"" Harris",22\n"two\nlines",38\n',
    b"when,x\n2024-01-31,1\n2024-02-01T10:00:00Z,2\n",
    b"a,b\n9223372036854775808,1\n18446744073709551615,2\n",
    b"a,b\n18446744073709551616,1\n-9223372036854775809,2\n",
    b"a,b\n5e-324,1.7976931348623157e308\n-0.0,2.2250738585072014e-308\n",
    b"a,b\n0.1,0.30000000000000004\n123456789.12345678,1e22\n",
    b"a,a,a.1,b\n1,2,3,4\n",
    b",b,\n0,1,2\n1,3,4\n",
    b"id,x\nrow1,1\nrow2,2\n",
    "é,日本\nü,☃\n".encode(),
    BOM + b"a,b\n1,x\n",
    b"a,b,c\n1\n1,2\n",
    b"a,b\nNA,null\nnan,None\n",
    b"a,b\n 1 , x y \n",
    b"a,b\n1,2\n\n3,4\n",
    b"a,b\n007,+5\n",
)
"""Must be read by our parser."""

AWKWARD = (
    *COMMON,
    b"",
    b"\n",
    b"a",
    b"a,b",
    b"a,b\n",
    b"a,b\n\n",
    b" \n\t\n",
    b"a\n1\n\n2\n",
    b"a\n1\n \n2\n",
    b"a\n1\n ",
    b"a\n1\n\t",
    b"a\n1\n\n",
    b"a\n1\r\n\r\n",
    b"a\r1\r\r",
    b"\na\n1\n",
    BOM,
    BOM + b"\na\n1\n",
    BOM + b" \na\n1\n",
    BOM + b'"a",b\n1,2\n',
    BOM + BOM + b"a,b\n1,2\n",
    b"a,b\n" + BOM + b"1,2\n",
    b'""\n1\n',
    b'a\n""\n1\n',
    b'a\n"\n\n"\n1\n',
    b"a,b\r1,2\r3,4\r",
    b"a,b\n1,2\r3,4\r\n",
    b"a,b\n\r1,2\n",
    b"a\r 1\r",
    b"a,b\r \r 1,2\n",  # endless before pandas 3
    b"a,b\n1,2,3\n4,5,6\n",
    b"a,b\n1,2,\n4,5,\n",
    b"a,b\n1,2\n1,2,3\n",
    b"a,b\n1,2,3\n1,2\n",
    b"a,b\n,\n,\n",
    b"a,b,\n1,2,\n",
    b"a,b\n1,2\n,",
    b'a,b\n"1,2\n',
    b'a,b\n"1"2,"3" \n',
    b'a,b\n1"2,3"\n',
    b'a,b\n"x""y",""""\n',
    b"a,b\n'1','2'\n",
    b"a,b\n1\\,2\n",
    b"a,b\n\xff,2\n",
    b"a,\xff\n1,2\n",
    b"a,b\n1,2\n\xc3",
    b"a,b\n\xed\xa0\x80,2\n",
    b"a,b\n\x00,2\n",
    b"a,\x00\n1,2\n",
    b"a,b\n1\x002,3\n",
    b"\x00a,b\n1,2\n",
    b"a,b\n1,2\n\x00",
    b"a,b\n1,2\n\x1a\n",
    b"a,b\n0x10,1_000\n",
    b"a,b\n1e400,-1e400\n",
    b"a,b\n1e-400,1d5\n",
    b"a,b\n1.,.5\n-.5,+.5\n",
    b"a,b\ninf,-Infinity\n+inf,INF\n",
    b"a,b\n9223372036854775808,-1\n1,1\n",
    b"a,b\n9223372036854775808,1\n,2\n",
    b"a,b\n-9223372036854775808,9223372036854775807\n",
    b"a,b\n9007199254740993,9007199254740993.0\n",
    b"a,b\n" + b"1" * 400 + b"," + b"0." + b"3" * 400 + b"\n",
    b"a,b\n1j,1+2j\n",
    b"a,b\n10%,$5\n1;2,3\n",
    b"a,b\nTrue,1\n1,True\n",
    b"a,b\nTrue,x\n1.5,\n",
    b"a,b\n1,x\nx,1\n",
    b"a,b\n2024-01-01,\n,2024-13-45\n",
    b"Unnamed: 1,,Unnamed: 1\n1,2,3\n",
    b"a.1,a,a\n1,2,3\n",
    b"1,2,1\n1,2,3\n",
    b" a,a ,a\n1,2,3\n",
    b"nan,NA,\n1,2,3\n",
    b"#a,b\n#1,2\n",
    b"%%MatrixMarket matrix array real general\n1 1\n1\n",
    b"a\tb\n1\t2\n",
    b"a;b\n1,5;2,5\n",
    b"\xe2\x80\xa8,\xc2\x85\n\xe2\x80\xa8,\x0b\n\x0c,\x1c\n",
    b"a" * 300 + b",b\n" + b"x" * 5000 + b",1\n",
    ",".join(f"c{number}" for number in range(200)).encode() + b"\n" + b",".join([b"1"] * 200) + b"\n",
    b"a,b\n" + b"1,2.5\n" * 3000,
    # what pandas reads in chunks: few bytes, but many fields
    b"," * 999 + b"\n" + b"1\n" * 300 + b"x\n",
    b"," * 999 + b"\n" + b"1\n" * 1100 + b"x\n",
    b"a,b\n" + b"1,2.5\n" * 70_000 + b"x,y\n",
)

AWKWARD_BATCHES = (
    [b"a,b\n-9223372036854775808,x\n", b"a,b\n,x\n"],
    [b"a,b\n-9223372036854775808,1\n", b"a,b\n,2\n", b"a,b\n2.5,2\n"],
    [b"a,b\n9007199254740993,1\n,1\n", b"a,b\n0.5,2\n"],
    [b"a,b\n18446744073709551615,1\n", b"a,b\n-1,2\n", b"a,b\n,3\n", b"a,b\nx,3\n"],
    [b"a,b\n18446744073709551616,1\n", b"a,b\nx,2\n"],
    [BOM + b"\na,b\n1,2\n", BOM + b"\na,b\n3,4\n"],
    [BOM + b" \na,b\n1,x\n", BOM + b" \na,b\n3,y\n"],
    [b" \na,b\n1,x\n", b" \na,b\n3,y\n"],
    [b"\n", b"\n", b"a\n", b"a\n"],
    [b"a,b\n1,2\n\n", b"a,b\n\n3,4"],
    [b"a,b\n1,x\n \t\n", b"a,b\n\n3,y"],
    [b"a\n1\n\n", b"a\n2\n"],
    [b"a\nx\n ", b"a\ny\n"],
    [b"a,b\n1,2,3\n", b"a,b\n4,5\n", b"a,b\n6,7\n"],
    [b"a,b\n1\n", b"a,b\n4,5\n", b"a,b\n6,\n"],
    [b"a,b\nTrue,x\n", b"a,b\n,y\n", b"a,b\nTrue,z\n,z\n", b"a,b\nFalse,u\n,u\n"],
    [b'a,b\n"1,2\n', b'a,b\n",2\n'],
    [b'a,b\n1,"x', b'a,b\n2,y"\n', b"a,b\n2,z\n"],
    [b'"a\nb",c\n1,x\n', b'"a\nb",c\n2,y\n'],
    [b'"a\nb",c\n1,x\n', b'"a\nd",c\n2,y\n'],
    [b'"a"x,c\n1,x\n', b'"a"x,c\n2,y\n'],
    [b"a,b\r1,x\r", b"a,b\r2,y\r"],
    [b"a,b\n1,x\r2,y\n", b"a,b\n3,z\n", b"a,b\n3,z\r"],
    [b"a,b\n\xff,x\n", b"a,b\n1,y\n", b"a,b\n2,y\n"],
    [b"a,b\n1,\x00\n", b"a,b\n2,y\n"],
)
"""Bodies that give other types, or other rows, side by side than alone."""

# fmt: off
NAMES = ("a", "b", "c", "x0", "Age", "a.1", "", " ", "a b", "é", "日本", '"q,r"', '"a""b"', "1", "2.5", "Unnamed: 0",
         "nan", "True", "'s'", '"two\nlines"')
WORDS = ("x", "male", "two words", "é", "日本", "☃", "C85", "x1", "-", "+", ".", "'", "\\", "N/A ", "e", "E5", "#1",
         "\x0b", '"Braund, Mr."', '"say ""hi"""', '"two\nlines"', '"cr\r\nlf"', '"a"b', 'a"b', '" "', '""""', "None ")
MISSING = ("", "", "", "NA", "N/A", "n/a", "nan", "NaN", "-nan", "null", "NULL", "None", "<NA>", "#N/A", '""')
BOOLEANS = ("True", "False", "true", "false", "TRUE", "FALSE")
DATES = ("2024-01-31", "2024-02-01T10:00:00Z", "01/02/2024", "2024-02-30", "10:00", "1 Jan 2024", "20240131")
ODD_NUMBERS = ("1.", ".5", "-.5", "+5", "007", "-0", "0x10", "1_0", "1e5", "1E-5", "1e400", "1e-400", " 5", "5 ", "\t5",
               "1,5", '"1"', '"1.5"', "1-2", "1.2.3", "--1", "1e", "1d5", "inf", "-inf", "Infinity", "+INF", "1j", "٣",
               "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616",
               "-9223372036854775808", "-9223372036854775809", "9007199254740993", "9007199254740993.0")
TOKENS = (b'"', b'"', b",", b",", b",", b"\n", b"\n", b"\n", b"\r", b"\r\n", b" ", b"\t", b"a", b"1", b"2.5", b".",
          b"-", b"\xff", b"\x00", BOM, b"NA", b'""', b"\xc3\xa9", b"\\", b"'", b";", b"e5", b"True", b"a,b\n")
# fmt: on


def _float(random: random.Random) -> str:
    kind = random.randrange(6)
    if kind == 0:  # any bits: subnormals, huge ones, not-a-number
        return repr(struct.unpack("<d", random.getrandbits(64).to_bytes(8, "little"))[0])
    if kind == 1:
        return repr(random.uniform(-1, 1) * 10.0 ** random.randint(-320, 300))
    if kind == 2:
        return f"{random.uniform(-1000, 1000):.{random.randint(0, 30)}f}"
    if kind == 3:
        return f"{random.uniform(-1000, 1000):.{random.randint(0, 20)}e}"
    return repr(random.choice([random.gauss(0, 1), random.gauss(0, 1), -0.0, 0.5, 1e22, 5e-324, float(2**53)]))


def _integer(random: random.Random) -> str:
    return str(random.choice([random.randint(-9, 9), random.randint(-9, 9), random.getrandbits(63)]))


def _large(random: random.Random) -> str:
    return str(random.choice([2**63, 2**64, -(2**63), 2**53]) + random.randint(-2, 2))


def _of(words: Sequence[str]) -> Callable[[random.Random], str]:
    return lambda random: random.choice(words)


KINDS: tuple[Callable[[random.Random], str], ...] = (
    _float,
    _float,
    _float,
    _integer,
    _integer,
    _large,
    _of(WORDS),
    _of(WORDS),
    _of(BOOLEANS),
    _of(DATES),
    _of(ODD_NUMBERS),
    _of(MISSING),
)


class _Table:
    """A header, and columns each with a kind of values; bodies of it have the same header."""

    def __init__(self, random: random.Random) -> None:
        self._random = random
        width = random.choice([1, 1, 2, 3, 4, 6, 12])
        self.names = [random.choice(NAMES[:6] if random.random() < 0.5 else NAMES) for _ in range(width)]
        self._kinds = [random.choice(KINDS) for _ in range(width)]
        self._blanks = random.choice([0.0, 0.0, 0.1, 0.5])
        self._mixed = random.choice([0.0, 0.0, 0.0, 0.1])
        self.end = random.choice(["\n", "\n", "\n", "\n", "\r\n", "\r"])

    def rows(self) -> list[str]:
        random = self._random
        return [self._row() for _ in range(random.choice([1, 1, 1, 2, 3, 5, 20]))]

    def _row(self) -> str:
        random = self._random
        cells = []
        for kind in self._kinds:
            if random.random() < self._mixed:
                kind = random.choice(KINDS)
            cells.append(random.choice(MISSING) if random.random() < self._blanks else kind(random))
        return ",".join(cells)

    def body(self, rows: list[str]) -> bytes:
        end = self.end if self._random.random() < 0.9 else ""
        return (self.end.join([",".join(self.names), *rows]) + end).encode()


def _flawed(random: random.Random, table: _Table, rows: list[str]) -> bytes:
    """A body with lines that are too short, too long or blank, or with bytes that are not text."""
    flaw = random.randrange(8)
    if flaw == 0:
        rows.insert(random.randint(0, len(rows)), random.choice(["", "", " ", "\t"]))
    elif flaw == 1:
        rows[random.randrange(len(rows))] += ",9"
    elif flaw == 2:
        rows[-1] = rows[-1].rpartition(",")[0]
    elif flaw == 3:
        rows = [f"i{number},{row}" for number, row in enumerate(rows)]
    body = table.body(rows)
    if flaw == 4:
        return BOM + body
    if flaw >= 5:
        for _ in range(random.randint(1, 3)):
            start = random.randint(0, len(body))
            body = body[:start] + random.choice(TOKENS) + body[start + random.randint(0, 2) :]
    return body


def generated(random: random.Random, count: int) -> Iterator[bytes]:
    """Tables, tables with flaws, and tokens in any order."""
    for _ in range(count):
        kind = random.random()
        if kind < 0.15:
            yield b"".join(random.choice(TOKENS) for _ in range(random.randint(1, 24)))
            continue
        table = _Table(random)
        rows = table.rows()
        yield _flawed(random, table, rows) if kind < 0.5 else table.body(rows)


def generated_batches(random: random.Random, count: int) -> Iterator[list[bytes]]:
    """Bodies of one table each, some of them flawed."""
    for _ in range(count):
        table = _Table(random)
        yield [
            table.body(table.rows()) if random.random() < 0.9 else _flawed(random, table, table.rows())
            for _ in range(random.randint(2, 6))
        ]


def read_the_long_way(body: bytes) -> pd.DataFrame:
    """DRUM's frame: in a single column a blank line is a missing value (contract, 4.9). Raises what read_csv raises."""
    frame = pd.read_csv(io.BytesIO(body))
    return frame if frame.shape[1] != 1 else pd.read_csv(io.BytesIO(body), skip_blank_lines=False)


def difference(found: pd.DataFrame, expected: pd.DataFrame) -> str:
    """What differs in the two frames, be it one bit or the type of one value; ``""`` if nothing does."""
    if type(found.index) is not type(expected.index) or not found.index.equals(expected.index):
        return f"index {found.index!r}, not {expected.index!r}"
    if _exact(found.columns) != _exact(expected.columns) or found.columns.dtype != expected.columns.dtype:
        return f"columns {found.columns!r}, not {expected.columns!r}"
    if list(found.dtypes) != list(expected.dtypes):
        return f"types {list(found.dtypes)}, not {list(expected.dtypes)}"
    for number, name in enumerate(expected.columns):
        ours, theirs = _bits(found.iloc[:, number]), _bits(expected.iloc[:, number])
        if ours != theirs:
            return f"column {name!r}: {ours!r}, not {theirs!r}"
    ours, theirs = _layout(found), _layout(expected)
    return "" if ours == theirs else f"memory layout {ours}, not {theirs}"


def _bits(series: pd.Series[Any]) -> Any:
    if isinstance(series.dtype, np.dtype) and series.dtype != object:
        return series.to_numpy().tobytes()
    return _exact(series)


def _exact(values: Any) -> list[tuple[type, str]]:
    return [(type(value), repr(value)) for value in values]


def _layout(frame: pd.DataFrame) -> tuple[Any, ...]:
    """Of the array that hooks take out of the frame: sums round by it, and some hooks write into it."""
    values = frame.to_numpy()
    return values.dtype, values.strides, values.flags.writeable


def check(parse: CsvParser, body: bytes) -> bool:
    """Our parser reads ``body``. Raises AssertionError if it does so in another way than pandas, or fails."""
    table = None if _HUGE_EXPONENT.search(body) else parse(body)
    if table is None:
        return False
    try:
        expected = read_the_long_way(body)
    except Exception as error:
        raise AssertionError(f"{body!r} is read, though read_csv raises {error!r}") from error
    text = difference(table.frame(), expected)
    if text:
        raise AssertionError(f"{body!r}: {text}")
    return True


def check_batch(parse: CsvParser, bodies: Sequence[bytes]) -> int:
    """Number of groups that ``bodies`` are merged into. Raises AssertionError if that shows in a body's rows."""
    bodies = [body for body in bodies if not _HUGE_EXPONENT.search(body)]
    groups = merge_csv(bodies, parse)
    seen: list[int] = []
    for group in groups:
        assert group.table is not None
        merged = group.table.frame()
        assert len(merged) == sum(group.lengths), bodies
        ends = np.cumsum(group.lengths)
        for position, length, end in zip(group.positions, group.lengths, ends):
            expected = read_the_long_way(bodies[position])
            part = merged.iloc[end - length : end].reset_index(drop=True)
            text = _without_layout(part, expected)
            assert not text, f"{bodies[position]!r}, merged in {bodies!r}: {text}"
            seen.append(position)
        text = difference(
            _texts(group.data), pd.concat([_texts(bodies[each]) for each in group.positions], ignore_index=True)
        )
        assert not text, f"the CSV of {bodies!r}: {text}"
    assert len(seen) == len(set(seen)), bodies
    return len(groups)


def _texts(body: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(body), dtype=str, keep_default_na=False)


def check_ownership(parse: CsvParser) -> None:
    """What a hook does to a frame, names included, does not show in the next one. Raises AssertionError."""
    body = b"own_a,own_b\n1.5,2.5\n"
    for _ in range(2):
        assert check(parse, body)
        table = parse(body)
        assert table is not None
        frame = table.frame()
        frame.columns.name = "changed"
        with contextlib.suppress(ValueError):  # read-only since pandas 3
            frame.columns.values[0] = "changed"
        frame.iloc[0, 0] = 9.0


def _without_layout(found: pd.DataFrame, expected: pd.DataFrame) -> str:
    text = difference(found, expected)
    return "" if text.startswith("memory layout") else text


def _counted(function: Callable[[CsvParser, Any], int], parse: CsvParser, data: Any, differences: list[str]) -> int:
    try:
        return function(parse, data)
    except AssertionError as error:
        differences.append(str(error))
        return 0


def main(arguments: Sequence[str]) -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--bodies", type=int, default=2000)
    options.add_argument("--batches", type=int, default=300)
    options.add_argument("--seed", type=int, default=SEED)
    options.add_argument("--infer-string", choices=["yes", "no"], help="pandas' option future.infer_string")
    chosen = options.parse_args(arguments)
    if chosen.infer_string:
        pd.set_option("future.infer_string", chosen.infer_string == "yes")
    parse = csv_parser()
    if parse is None:
        print(f"pandas {pd.__version__}: its parser cannot be used")
        return 1
    check_ownership(parse)
    numbers = random.Random(chosen.seed)
    differences: list[str] = []
    bodies = [*AWKWARD, *generated(numbers, chosen.bodies)]
    read = sum(_counted(check, parse, body, differences) for body in bodies)
    batches = [*AWKWARD_BATCHES, *generated_batches(numbers, chosen.batches)]
    groups = sum(_counted(check_batch, parse, batch, differences) for batch in batches)
    for text in differences[:20]:
        print(text[:2000], file=sys.stderr)
    print(
        f"pandas {pd.__version__}: {len(bodies)} bodies, {read} read by the short way, {groups} groups merged, "
        f"{len(differences)} differences"
    )
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
