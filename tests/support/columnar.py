"""Frames in Arrow and Parquet."""

from __future__ import annotations

import io

import pandas as pd
import pytest


def arrow_stream(frame: pd.DataFrame) -> bytes:
    """An Arrow stream; skips the test without pyarrow."""
    pa = pytest.importorskip("pyarrow")
    sink = io.BytesIO()
    table = pa.Table.from_pandas(frame)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def arrow_file(frame: pd.DataFrame) -> bytes:
    """An Arrow file."""
    sink = io.BytesIO()
    frame.to_feather(sink)
    return sink.getvalue()


def parquet(frame: pd.DataFrame) -> bytes:
    """A Parquet file."""
    sink = io.BytesIO()
    frame.to_parquet(sink, engine="pyarrow")
    return sink.getvalue()
