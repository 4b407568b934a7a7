"""``drum-litestar predict``: scores a file with a model folder, without a server."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drum_litestar.cli import server_command
from drum_litestar.cli.argument_parser import HelpFormatter, Parser
from drum_litestar.cli.argument_types import directory, existing_file, positive_number
from drum_litestar.cli.server_arguments import add_model_arguments
from drum_litestar.errors import FailedError, ModelLoadError, RequestError, UsageError

DESCRIPTION = """\
Score FILE with the model in FOLDER, without a server: the same predictor in the same worker processes, so the same
answers. The output has the columns, their order and the full precision of `drum score --output`: predictions, then
further columns of a score hook; what a transform returns; the bytes that an unstructured model returns.
"""

EPILOG = """\
examples:
  predictions of a regression model as CSV on standard output
    %(prog)s ./model data.csv --target-type regression

  a binary model, into a file; by the ending .parquet, as Parquet (pip install pyarrow)
    %(prog)s ./model data.csv --target-type binary \\
        --positive-class-label yes --negative-class-label no --output predictions.csv

  a large file with a score hook that treats each row alone, in four processes
    %(prog)s ./model big.csv --target-type regression --output out.csv --chunk-rows 50000 --max-workers 4

  an unstructured model, as a request to /predictUnstructured/?lang=en would ask it
    %(prog)s ./model note.json --target-type unstructured --content-type application/json --query lang=en

Large files: a model without hooks that see rows is asked for 65,536 rows (or 32 MiB) at a time, so memory does not
grow with the file. Types of columns are found first, in a pass of their own, so that each part is read with those of
the whole file; where no type fits all parts (numbers in some rows, text in others), and where hooks see rows, which may
look at several together, the file is scored as one table. --chunk-rows N: in parts all the same; --whole: never in
parts. Sums over blocks of rows may round differently in parts, in the last of some 16 digits; the index of each part's
DataFrame begins at 0.

Exit codes: 0 scored; 1 the model or its data failed; 2 the command line or the output cannot be used; 130 interrupted.
"""

CONTENT_TYPE = "text/plain; charset=utf8"


def add_parser(subparsers: Any) -> None:
    """Add ``predict`` to the sub-commands."""
    _add_arguments(subparsers.add_parser("predict", **_parser_options()))


def expand(prog: str, argv: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Tokens that environment variables add to ``argv``, as they do for ``server``."""
    parser = Parser(prog=prog, **_parser_options())
    _add_arguments(parser, required=False)
    return server_command.environment_options(parser, argv, environ)


def run(args: argparse.Namespace) -> int:
    """Score and write. Raises UsageError, and StartupError when the model or its data fails."""
    if args.whole and args.chunk_rows is not None:
        raise UsageError("--whole and --chunk-rows exclude each other: score the file as one table, or in parts")
    if not Path(args.file).stat().st_size:
        raise UsageError(f"{args.file} is empty")
    if args.show_stacktrace and args.logging_level == "critical":
        args.logging_level = "error"
    plan = server_command.plan_without_server(args)
    try:
        asyncio.run(_predict(args, plan))
    except KeyboardInterrupt:
        print("drum-litestar: interrupted; nothing is left in --output", file=sys.stderr)
        return 130
    except OSError as error:  # the reader of standard output has enough, or the disk is full
        if args.output is None:  # or Python would try again to write it
            with contextlib.suppress(OSError), open(os.devnull, "wb") as nothing:  # noqa: PTH123
                os.dup2(nothing.fileno(), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return 1
        output = args.output or "standard output"
        reason = error.strerror or error
        raise UsageError(f"{args.file} cannot be read, or {output} not be written: {reason}") from error
    except ModelLoadError as error:
        if args.show_stacktrace and error.detail:
            sys.stderr.write(error.detail)
        raise FailedError(" ".join(str(error).split())) from error
    return 0


async def _predict(args: argparse.Namespace, plan: Any) -> None:
    from drum_litestar.launcher.model_session import ModelSession
    from drum_litestar.predictors.folder.model_folder import read_folder
    from drum_litestar.predictors.native.model_target import model_decides
    from drum_litestar.predictors.protocol import TargetType
    from drum_litestar.tools.predict import scoring
    from drum_litestar.tools.predict.prediction_file import CsvWriter, OutputFile, ParquetWriter, PredictionWriter
    from drum_litestar.tools.predict.progress_bar import ProgressBar

    path = Path(args.file).resolve()
    request = scoring.Request(
        path=path,
        chunk_rows=args.chunk_rows,
        whole=args.whole,
        colnames=None if args.sparse_column_file is None else Path(args.sparse_column_file).resolve(),
        query=args.query or "",
        content_type=args.content_type or CONTENT_TYPE,
    )
    # An artifact alone predicts tables, of a target type that it says once it is loaded.
    table = model_decides(plan.spec) or read_folder(plan.spec).target_type is not TargetType.UNSTRUCTURED
    output = OutputFile(args.output, table=table)
    session = ModelSession(plan)
    bar = ProgressBar(path.stat().st_size)
    try:
        with output as stream:
            bar.show(0, "loading the model")
            async with session:
                if not table:
                    bar.show(0, "scoring")
                    stream.write(await scoring.score_unstructured(session, request))
                    return
                target_type = session.card.target_type
                names = _class_labels(session.card.info) if target_type.is_classification else ["Predictions"]
                if not output.parquet:
                    writer: PredictionWriter = CsvWriter(stream)
                elif target_type is TargetType.TRANSFORM:
                    writer = ParquetWriter(stream)
                elif target_type.keeps_values:
                    writer = ParquetWriter(stream, texts=names)
                else:
                    writer = ParquetWriter(stream, numbers=names)
                async for part in scoring.score_table(session, request, bar.show, bar.note):
                    writer.write(part.header, part.rows)
                writer.close()
    except RequestError as error:
        raise FailedError(f"{path}: {error}") from error
    finally:
        bar.close()


def _class_labels(info: dict[str, Any]) -> list[str]:
    """The columns of a classification model whose part of ``/info/`` is ``info``."""
    return info.get("classLabels") or [info["positiveClassLabel"], info["negativeClassLabel"]]


def _add_arguments(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    optional: dict[str, Any] = {} if required else {"nargs": "?"}
    parser.add_argument("code_dir", metavar="FOLDER", type=directory, help="the model folder", **optional)
    parser.add_argument(
        "file", metavar="FILE", type=existing_file, help="CSV; Matrix Market if it ends in .mtx", **optional
    )
    group = parser.add_argument_group("output and parts")
    group.add_argument(
        "--output",
        metavar="FILE",
        help="write here instead of on standard output; .parquet writes Parquet. The file appears when it is complete",
    )
    group.add_argument(
        "--chunk-rows",
        metavar="N",
        type=positive_number,
        help="score N rows at a time, whatever the model has hooks for",
    )
    group.add_argument("--whole", action="store_true", help="score the file as one table, as drum score does")
    group.add_argument(
        "--sparse-column-file", metavar="FILE", type=existing_file, help="names of a .mtx file's columns, one a line"
    )
    unstructured = parser.add_argument_group("unstructured models")
    unstructured.add_argument("--query", help="query of the request, such as 'lang=en&n=3'")
    unstructured.add_argument(
        "--content-type",
        metavar="TYPE",
        help=f"type of the request (default: {CONTENT_TYPE}, as in drum score)",
    )
    add_model_arguments(parser)


def _parser_options() -> dict[str, Any]:
    return {
        "usage": "%(prog)s FOLDER FILE [--output FILE] [options]",
        "description": DESCRIPTION,
        "epilog": EPILOG,
        "formatter_class": HelpFormatter,
    }
