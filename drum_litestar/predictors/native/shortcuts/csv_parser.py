"""The parser inside ``pandas.read_csv``, without read_csv around it: the same columns in a fraction of the time.

For a small body ``pd.read_csv`` spends most of its time on its fifty options, on wrapping the stream and on building
the frame. :func:`csv_parser` makes pandas' own C parser with the options that ``pd.read_csv(stream)`` would give it, so
that types, missing values, quotes and the bits of each number are settled by the same code. The parser's class is not
public: it is used only if it reads a corpus of awkward files as the installed pandas' ``read_csv`` does.
"""

from __future__ import annotations

import io
import logging
import re
from typing import TYPE_CHECKING, Any, Callable, Final, NamedTuple, Optional

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger("drum")

_ONE_CHUNK: Final = 2**17
"""Fields, also those that short lines lack. pandas reads larger files in chunks (of 2**18 fields in its older versions,
then of 2**20) and decides the types chunk by chunk."""
_READ_CSV_ONLY: Final = ("compression", "encoding", "low_memory", "memory_map", "storage_options")
"""Options that pandas' wrapper of the parser takes out."""
_KNOWN_HEADERS: Final = 64
_COPIES: Final = int(pd.__version__.partition(".")[0]) < 3
"""``read_csv`` gathers columns of one type in one array, which later versions leave apart. It shows in what
``frame.to_numpy()`` gives: a part of the frame, or an array that a hook may write into."""

_CORPUS: Final = (
    b"a,b\n1,0.1\n2,123456789.12345678\n",
    b"a,b\n-0.30318120937394877,1e-320\n7.0,-0.0\n",
    b'Name,Age,Cabin\n"Braund, Mr. ""O""",22,\n"two\nlines",,C85\n',
    b"a,b,c\ntrue,True,\nfalse,,NA\n",
    b"a,a,a.1,,x y\n1,2,3,4,5\n",
    b"a,b\n2024-01-31,1\n2024-02-01T10:00:00Z,x\n",
    b"a,b,c\n9223372036854775808,18446744073709551616,-1\n1,2,\n",
    b"a,b\n9223372036854775808,1\n,2\n",
    b"a,b,c\ninf,nan,null\n-Infinity,None,n/a\n",
    b"\xef\xbb\xbfa,b\r\n1,x\r\n\r\n3, y \r\n",
    b"\xc3\xa9,b\n\xc3\xa9\xe2\x82\xac,007\n,+5\n",
    b"a,b,c\n1\n1,2\n",
    b"a,b\n1_0,0x10\n1e5,1.\n",
    b'"a",\'b\'\n"1",\'2\'\n"",3\n',
    b"a;b\n1;2\n",
    b"a,b\n ,\t\n1j,-\n",
)
_REFUSED: Final = (
    b"",
    b"a,b\n",
    b"a,b\n1,2,3\n",
    b"a,b\n1,2\n1,2,3\n",
    b'a,b\n"1,2\n',
    b"a,b\n\xff,2\n",
    b"a\n1\n\n2\n",
    b"a,b\r1,2\r",
)
"""Left to read_csv: nothing but a header, leading index columns, what it raises an error for, blank lines in a single
column, and old Macintosh line ends."""


_BLANK_LINE: Final = re.compile(rb"(?:^(?:\xef\xbb\xbf)?|\r\n|\n|\r(?!\n))(?:[ \t]*[\r\n]|[ \t]+\Z)|\r[ \t]")


def has_blank_line(body: bytes) -> bool:
    """Some line of ``body`` is blank, or older versions of pandas take it for one to skip: it begins with a space after
    a carriage return alone."""
    return _BLANK_LINE.search(body) is not None


class CsvTable(NamedTuple):
    """The columns of a CSV file."""

    columns: pd.Index[Any]
    """The names as read_csv gives them: a name's second column gets a suffix, a blank name is ``Unnamed: 3``."""
    arrays: Sequence[Any]
    """One array of numpy or pandas for each column, of equal lengths, with the types that read_csv gives."""

    def __len__(self) -> int:
        return len(self.arrays[0])

    def matrix(self) -> np.ndarray[Any, np.dtype[Any]] | None:
        """All values as one array, rows by columns, if all columns have one type of numbers.

        Its memory layout is that of ``frame().to_numpy()``, column by column, so that sums round in the same way.
        """
        first = self.arrays[0].dtype
        if first not in (np.float64, np.int64) or any(array.dtype != first for array in self.arrays):
            return None
        matrix: np.ndarray[Any, np.dtype[Any]] = np.array(self.arrays).T
        return matrix

    def frame(self) -> pd.DataFrame:
        """The frame that read_csv returns, with names of its own: hooks may write into ``frame.columns.values``."""
        columns = self.columns.copy(deep=True)
        matrix = self.matrix() if _COPIES else None
        if matrix is not None:
            frame: pd.DataFrame = pd.DataFrame(matrix, columns=columns, copy=False)
            return frame
        frame = pd.DataFrame(dict(enumerate(self.arrays)), copy=_COPIES)
        frame.columns = columns
        return frame


CsvParser = Callable[[bytes], Optional[CsvTable]]


def csv_parser() -> CsvParser | None:
    """A function that reads a CSV body as ``pd.read_csv`` does; None, with a line in the log, where it cannot be had.

    The function returns None for bodies that it leaves to read_csv: those of :data:`_REFUSED`'s kinds, and large ones.
    """
    try:
        parse = _Parser()
        for body in _CORPUS:
            expected = pd.read_csv(io.BytesIO(body))
            for _ in range(2):  # the second time the header is known
                table = parse(body)
                if table is None or not _same(table.frame(), expected):
                    raise ValueError(f"it reads {body!r} in another way")
        if any(parse(body) is not None for body in _REFUSED):
            raise ValueError("it reads a file that is not plain")
    except Exception as error:  # whatever another version of pandas may do
        logger.info("CSV is read by read_csv alone: the parser of pandas %s cannot be used: %s", pd.__version__, error)
        return None
    return parse


def _same(frame: pd.DataFrame, expected: pd.DataFrame) -> bool:
    values, wanted = frame.to_numpy(), expected.to_numpy()
    return (
        frame.equals(expected)
        and list(frame.dtypes) == list(expected.dtypes)
        and frame.columns.equals(expected.columns)
        and frame.columns.dtype == expected.columns.dtype
        and type(frame.index) is type(expected.index)
        and (values.strides, values.flags.writeable) == (wanted.strides, wanted.flags.writeable)
    )


class _Parser:
    """Safe to call from several threads."""

    def __init__(self) -> None:
        """Raises whatever a pandas of another make raises."""
        from pandas._libs.parsers import TextReader  # type: ignore[import-not-found]

        with pd.read_csv(io.BytesIO(b"a\n1\n"), iterator=True) as reader:
            engine: Any = reader._engine
        options = {name: value for name, value in engine.kwds.items() if name not in _READ_CSV_ONLY}
        for unused in ("error_bad_lines", "warn_bad_lines"):  # pandas 1.5
            options.pop(unused, None)
        options.update(allow_leading_cols=True, usecols=None, on_bad_lines=engine.on_bad_lines.value)
        if "dtype_backend" in options:
            options["dtype_backend"] = "numpy"
        self._reader: Any = TextReader
        self._options = options
        self._columns: dict[Any, pd.Index[Any]] = {}

    def __call__(self, body: bytes) -> CsvTable | None:
        if has_lone_return(body):
            return None  # before pandas 3, a space after a carriage return alone makes rows until memory ends
        try:
            if not body.isascii():
                body.decode()  # read_csv refuses what is not UTF-8, wherever it stands
            reader = self._reader(io.BytesIO(body), **self._options)
            (header,) = reader.header
            width = reader.table_width
            if reader.leading_cols or (width * len(body) > _ONE_CHUNK and width * _lines(body) > _ONE_CHUNK):
                return None
            found = reader.read(None)
            if len(found) != width or (width == 1 and has_blank_line(body)):  # a missing value (contract, 4.9)
                return None
            columns = self._names((*header, width), body)
        except (ValueError, OverflowError, StopIteration):  # read_csv raises its own error, or finds no rows
            return None
        return None if columns is None else CsvTable(columns, [found[number] for number in range(width)])

    def _names(self, header: tuple[Any, ...], body: bytes) -> pd.Index[Any] | None:
        columns = self._columns.get(header)
        if columns is None:
            columns = pd.read_csv(io.BytesIO(body)).columns
            if len(columns) != header[-1]:
                return None
            if len(self._columns) >= _KNOWN_HEADERS:
                self._columns.clear()
            self._columns[header] = columns
        return columns


def has_lone_return(body: bytes) -> bool:
    """Whether a carriage return is not followed by a line feed."""
    return b"\r" in body and body.count(b"\r") != body.count(b"\r\n")


def _lines(body: bytes) -> int:
    """An upper bound. NumPy counts several times faster than ``bytes.count``."""
    octets = np.frombuffer(body, np.uint8)
    returns = np.count_nonzero(octets == 13) if b"\r" in body else 0
    return int(np.count_nonzero(octets == 10) + returns) + 1
