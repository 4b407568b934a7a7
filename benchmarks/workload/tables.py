"""The tables whose rows are sent: full floats, rounded ones, mixed columns, many columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

TRAINING, REQUESTS = 1, 2
"""Seeds: models are trained on other rows than they are asked for."""
COLUMNS = tuple(f"feature_{number}" for number in range(10))
WIDE_COLUMNS = tuple(f"feature_{number}" for number in range(300))
HANGS = "hangs"
"""Column of the table for calls that hang: 1 in every hundredth row, else 0."""
HANGS_EVERY = 100
LABELS = ("yes", "no")
"""Positive and negative label of the mixed table's target."""

_SURNAMES = ("Abbing", "Braund", "Cumings", "Dahl", "Futrelle", "Heikkinen", "Johnson", "Moran", "O'Brien", "van Dyke")
_MEN = ("Owen", "William Henry", "James", "Timothy J", "Karl Gustav", "Edvin")
_WOMEN = ("Laina", "Lily May", "Florence", "Marguerite", "Anna Sofia", "Ellen")
_NICKNAMES = ("Harry", "Jack", "Lizzie", "Kate")


@dataclass(frozen=True)
class Table:
    """A kind of table."""

    make: Callable[[np.random.Generator, int], pd.DataFrame]
    """Makes a number of rows."""
    decimals: int | None = None
    """Numbers are written with so many; None: as ``DataFrame.to_csv`` writes them."""

    def rows(self, count: int, seed: int = REQUESTS) -> pd.DataFrame:
        """``count`` rows, always the same ones for a seed."""
        import numpy as np

        frame = self.make(np.random.default_rng(seed), count)
        if self.decimals is not None:
            frame = frame.round(self.decimals)
        return frame

    def csv(self, frame: pd.DataFrame) -> bytes:
        """``frame`` as a client sends it."""
        style = None if self.decimals is None else f"%.{self.decimals}f"
        return frame.to_csv(index=False, float_format=style).encode()


def _floats(columns: tuple[str, ...]) -> Callable[[np.random.Generator, int], pd.DataFrame]:
    def make(rng: np.random.Generator, rows: int) -> pd.DataFrame:
        import pandas as pd

        frame: pd.DataFrame = pd.DataFrame(rng.normal(size=(rows, len(columns))), columns=list(columns))
        return frame

    return make


def _calls_that_hang(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    import numpy as np

    frame = _floats(COLUMNS)(rng, rows)
    frame[HANGS] = np.where(np.arange(1, rows + 1) % HANGS_EVERY == 0, 1.0, 0.0)
    return frame


def _passengers(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """A table like the Titanic's: numbers with blanks, categories, and text that the model does not use."""
    import numpy as np
    import pandas as pd

    sex = rng.choice(["male", "female"], rows, p=[0.65, 0.35])
    age = rng.normal(30.0, 14.0, rows).clip(1.0, 80.0).round() + np.where(rng.random(rows) < 0.03, 0.5, 0.0)
    cabin = [f"{rng.choice(list('ABCDE'))}{number}" for number in rng.integers(1, 149, rows)]
    port = rng.choice(["S", "C", "Q"], rows, p=[0.72, 0.19, 0.09])
    frame: pd.DataFrame = pd.DataFrame(
        {
            "Pclass": rng.choice([1, 2, 3], rows, p=[0.24, 0.21, 0.55]),
            "Name": [_name(rng, one) for one in sex],
            "Sex": sex,
            "Age": age,
            "SibSp": rng.choice([0, 1, 2, 3], rows, p=[0.68, 0.24, 0.05, 0.03]),
            "Parch": rng.choice([0, 1, 2], rows, p=[0.76, 0.13, 0.11]),
            "Ticket": [_ticket(rng) for _ in range(rows)],
            "Fare": rng.lognormal(2.9, 0.9, rows).round(4),
            "Cabin": cabin,
            "Embarked": port,
        }
    )
    for column, share in (("Age", 0.2), ("Cabin", 0.77), ("Embarked", 0.03)):
        frame[column] = frame[column].mask(rng.random(rows) < share)
    return frame


def _name(rng: np.random.Generator, sex: str) -> str:
    """``Braund, Mr. Owen "Harry" Harris``: always a comma, often quotes."""
    title, first = ("Mr.", rng.choice(_MEN)) if sex == "male" else ("Miss.", rng.choice(_WOMEN))
    nickname = f' "{rng.choice(_NICKNAMES)}"' if rng.random() < 0.2 else ""
    return f"{rng.choice(_SURNAMES)}, {title} {first}{nickname}"


def _ticket(rng: np.random.Generator) -> str:
    """Mostly digits only, so that a column of few rows is read as numbers or as text."""
    prefix = rng.choice(["A/5 ", "PC ", "STON/O2. "]) if rng.random() < 0.3 else ""
    return f"{prefix}{rng.integers(1_000, 400_000)}"


TABLES = {
    "floats": Table(_floats(COLUMNS)),
    "rounded": Table(_floats(COLUMNS), decimals=4),
    "mixed": Table(_passengers),
    "wide": Table(_floats(WIDE_COLUMNS)),
    "hangs": Table(_calls_that_hang),
}


@cache
def frames(table: str, sizes: tuple[int, ...]) -> tuple[pd.DataFrame, ...]:
    """Different frames of so many rows each, always the same ones in the same order."""
    whole = TABLES[table].rows(sum(sizes))
    return tuple(whole.iloc[end - rows : end] for rows, end in zip(sizes, accumulate(sizes), strict=True))


@cache
def csv_bodies(table: str, sizes: tuple[int, ...]) -> tuple[bytes, ...]:
    """:func:`frames` as CSV."""
    return tuple(TABLES[table].csv(frame) for frame in frames(table, sizes))


def spread(shares: Mapping[int, int]) -> tuple[int, ...]:
    """Each size as many times as its share says, evenly spread and always in the same order."""
    turns = [((turn + 0.5) / share, size) for size, share in shares.items() for turn in range(share)]
    return tuple(size for _, size in sorted(turns))


def csv_body_of_size(size: int) -> bytes:
    """A CSV of about ``size`` bytes: full floats, the same 500 rows again and again."""
    (block,) = csv_bodies("floats", (500,))
    header, _, rows = block.partition(b"\n")
    return header + b"\n" + rows * (size // len(rows) + 1)
