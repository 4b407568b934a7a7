"""Structured predictions: bytes -> frame -> hooks and model -> validation -> bytes (contract, 3.5 to 3.7 and 4.2)."""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple

import pandas as pd

from drum_litestar.media_types import ARROW_STREAM
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.formats import arrow_answer, pandas_json, predictions_csv
from drum_litestar.predictors.native.formats.inputs import (
    ClientDataError,
    StructuredInput,
    csv_input,
    read_input,
    read_table,
    structured_input,
)
from drum_litestar.predictors.native.formats.prediction_server_json import prediction_server_json
from drum_litestar.predictors.native.formats.validation import SINGLE_COLUMN, ValidatedPredictions, validate_predictions
from drum_litestar.predictors.native.hooks.user_errors import ModelError, StageError, run_stage
from drum_litestar.predictors.native.shortcuts.csv_parser import CsvTable
from drum_litestar.predictors.native.shortcuts.merged_estimator import MergedModel, merged_model
from drum_litestar.predictors.native.shortcuts.sklearn_direct import direct_model
from drum_litestar.predictors.protocol import BatchingRule, ModelCall, Payload, Reply, TargetType
from drum_litestar.predictors.steps import step

logger = logging.getLogger("drum")

_SCORE_FAILURE = "Model 'score' hook failed to make predictions."
_FRAMEWORK_FAILURE = "Failure when making predictions."

NO_ROWS = (
    "The data has 0 rows, only a header line: curl -d removes line breaks. Use --data-binary @FILE, or -F X=@FILE."
)
NO_SCORE = "custom.py has no score hook; /predict/ needs one"


class Predictions(NamedTuple):
    """The result of hooks and model for one frame."""

    validated: ValidatedPredictions
    extra: pd.DataFrame | None
    """Further columns of the score hook's frame (contract, 4.6)."""


Encode = Callable[[Predictions], Reply]
"""Makes an answer of predictions."""


class NotMergeableError(Exception):
    """The rows of several calls cannot be predicted together with the results of each call alone."""


class StructuredHandler:
    """The predict pipeline of one loaded model. Safe to call from several threads if the model is."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._hooks = loaded.hooks
        self._task = loaded.hooks.custom_task
        self._target_type = loaded.target_type
        self._labels = loaded.labels
        self._has_score = loaded.hooks.get("score") is not None
        self._has_transform = loaded.hooks.get("transform") is not None
        self._has_post_process = loaded.hooks.get("post_process") is not None
        self._any_format = loaded.hooks.get("read_input_data") is not None
        self._proba = loaded.target_type.is_classification
        self._keeps_values = loaded.target_type.keeps_values
        self._label_kwargs = self._make_label_kwargs()
        # A custom.py may have patched the model or its library.
        own = loaded.hooks.path is None and loaded.spec.shortcuts
        self._direct = direct_model(loaded.model, loaded.target_type) if own else None
        by_framework = loaded.framework is not None and self._task is None and not self._has_score
        mergeable = loaded.spec.shortcuts and by_framework
        self._merged = merged_model(loaded.model, self._direct, loaded.target_type) if mergeable else None
        self._encode = pandas_json.encode_floats if loaded.spec.shortcuts else pandas_json.series_encoder
        self._count_warning = threading.Lock()

    @property
    def shortcuts(self) -> tuple[str, ...]:
        """Names of the shortcuts that this model can take, for the log."""
        available = {
            "pandas' CSV parser": self._loaded.parse_csv is not None and not self._any_format,
            "scikit-learn without frames": self._direct is not None,
            "numbers by pandas' encoder": self._encode is not pandas_json.series_encoder,
        }
        return tuple(name for name, usable in available.items() if usable)

    def handle(self, call: ModelCall) -> Reply:
        """Answer one predict call. Raises exceptions that :func:`error_reply` turns into replies."""
        return self.answer_call(call, lambda predictions: self.reply(predictions, call.answer))

    def answer_call(self, call: ModelCall, encode: Encode) -> Reply:
        """The answer to a predict call, which ``encode`` makes. Raises as :meth:`handle`."""
        with step("parse"):
            data = self.parse(call)
            rows = self.read(data)
        return self._answer(rows, data, encode)

    def answer_table(self, table: CsvTable, body: Payload, encode: Encode) -> Reply:
        """The answer to a call whose ``body`` is no CSV, but has been read into ``table``. Raises as :meth:`handle`.

        A ``read_input_data`` hook gets the table as CSV; hooks that predict get the body as it was sent.
        """
        with step("parse"):
            source = StructuredInput(body, body.mimetype, None, None)
            rows: Any = table
            if self._any_format:
                source = csv_input(table)
                rows = self.read(source)
            elif self._direct is None or self._loaded.monitor is not None:
                rows = table.frame()
        return self._answer(rows, source, encode)

    def _answer(self, rows: Any, data: StructuredInput, encode: Encode) -> Reply:
        monitor = self._loaded.monitor
        features = None if monitor is None else monitor.keep(rows)
        began = time.perf_counter()
        with step("model"):
            try:
                predictions = self.predict(rows, data)
            except StageError as error:
                raise _about_rows(error, rows, data.payload) from error.__cause__
        seconds = time.perf_counter() - began
        with step("serialize"):
            reply = encode(predictions)
        if monitor is not None:
            monitor.predicted(features, predictions.validated, self._proba, seconds)
        return reply

    def predictions(self, call: ModelCall) -> Predictions:
        """The predictions of one call, not encoded. Raises as :meth:`handle`."""
        data = self.parse(call)
        return self.predict(self.read(data), data)

    def parse(self, call: ModelCall) -> StructuredInput:
        """The call's data. Raises UnprocessableError when it is missing or in an unsupported format."""
        return structured_input(call, any_format=self._any_format, columnar=self._loaded.columnar)

    def read(self, data: StructuredInput) -> Any:
        """A table for the direct model, else what hooks and frameworks receive."""
        if self._direct is not None and self._loaded.monitor is None:
            table = read_table(data, self._loaded.parse_csv)
            if table is not None:
                return table
        return read_input(data, self._hooks, self._loaded.parse_csv)

    def prepare(self, data: Any) -> Any:
        """``data`` after the ``transform`` hook."""
        if not self._has_transform:
            return data
        model = self._loaded.model
        result = run_stage(
            "Model 'transform hook' failed to transform dataset.", self._hooks.call, "transform", data, model
        )
        if not isinstance(result, pd.DataFrame):
            raise ValueError(f"transform must return a dataframe, but received {type(result)}")
        return result

    @property
    def row_by_row(self) -> bool:
        """No code of the folder's author sees rows."""
        hooked = self._has_score or self._has_transform or self._has_post_process or self._any_format
        return self._task is None and not hooked

    @property
    def batching(self) -> BatchingRule:
        """When :meth:`predict` may be given the rows of several calls."""
        if self._task is not None or self._has_score:
            return "on_request"
        if self._merged is None:
            return "never"
        return "always" if self._hooks.path is None and self._merged.worthwhile else "on_request"

    @property
    def merged(self) -> MergedModel | None:
        """The model for :meth:`predict` of the rows of several calls; None if hooks predict, or it has none."""
        return self._merged

    def predict(self, rows: Any, source: StructuredInput, lengths: Sequence[int] | None = None) -> Predictions:
        """Run hooks and model on ``rows`` and validate the result. Hooks receive ``source`` besides.

        ``rows``: a frame or whatever ``read_input_data`` returns, or, without hooks, a table. ``lengths``: they are the
        rows of so many calls with so many rows each, a frame or the blocks of ``merged.features``. Raises
        NotMergeableError where their predictions could differ from those of single calls.
        """
        features = self.prepare(rows)
        extra: pd.DataFrame | None = None
        names: Any
        if self._task is not None or self._has_score:
            scored = self._score(features, source)
            if self._task is None:
                scored, extra = self._split(scored)
            values, names = scored.to_numpy(), scored.columns
        else:
            values, names = self._framework(features, source) if lengths is None else self._merge(features, lengths)
        validated = self._validate(values, names)
        if lengths is None:
            self._check_count(validated, rows)
        return Predictions(validated, extra)

    def reply(self, predictions: Predictions, answer: str) -> Reply:
        """The answer as CSV or Arrow if ``answer`` is its media type, but JSON in the prediction server's layout, which
        they do not have."""
        if not answer or self._loaded.deployment_config is not None:
            return Reply(body=self.encode(predictions))
        (validated, extra), columns = predictions, predictions.validated.columns
        texts = self._keeps_values and not self._proba
        if answer == ARROW_STREAM:
            values = [validated.column()] if texts else validated.floats().T
            return Reply(body=arrow_answer.of_columns(columns, values, extra), content_type=ARROW_STREAM)
        if texts:
            body = predictions_csv.of_values(columns[0], pandas_json.encode_values(validated.column()), extra)
        else:
            body = predictions_csv.of_numbers(columns, self._encode(validated.floats().ravel()), extra)
        return Reply(body=body, content_type=predictions_csv.MEDIA_TYPE)

    def encode(self, predictions: Predictions) -> bytes:
        """The answer's body: pandas' JSON, or the prediction server's with a deployment configuration."""
        validated, extra = predictions
        config = self._loaded.deployment_config
        if config is not None:
            frame = validated.frame()
            if not self._keeps_values:
                frame = pd.DataFrame(validated.floats(), columns=list(validated.columns))
            return prediction_server_json(frame, extra, self._target_type, config)
        if self._proba:
            return pandas_json.by_label(validated.floats(), validated.columns, extra, encode=self._encode)
        if self._keeps_values:
            return pandas_json.single_column(pandas_json.encode_values(validated.column()), extra)
        return pandas_json.single_column(self._encode(validated.floats().ravel()), extra)

    def _score(self, data: Any, source: StructuredInput) -> pd.DataFrame:
        kwargs = {
            "binary_data": source.payload.read(),
            "mimetype": source.mimetype,
            "charset": source.charset,
            "sparse_colnames": source.colnames or None,
            "target_type": self._target_type,
            **self._label_kwargs,
        }
        if self._task is not None:
            method = self._task.predict_proba if self._proba else self._task.predict
            return run_stage(_SCORE_FAILURE, lambda: _require_scores(method(data, **kwargs)))
        return _require_scores(run_stage(_SCORE_FAILURE, self._call_score, data, self._loaded.model, **kwargs))

    def _call_score(self, data: Any, model: Any, **kwargs: Any) -> Any:
        hook = functools.partial(self._hooks.call, "score")
        moderation = self._loaded.moderation
        return hook(data, model, **kwargs) if moderation is None else moderation.score(data, model, hook, **kwargs)

    def _framework(self, data: Any, source: StructuredInput) -> tuple[Any, Any]:
        try:
            return run_stage(_FRAMEWORK_FAILURE, self._call_framework, data, source)
        except StageError as error:
            if self._loaded.framework is None:
                raise StageError(str(error), NO_SCORE) from error.__cause__
            missing = self._missing_columns(data.frame() if isinstance(data, CsvTable) else data)
            if missing and self._loaded.spec.client_errors_4xx:
                raise ClientDataError(str(error)) from error
            raise

    def _call_framework(self, data: Any, source: StructuredInput) -> tuple[Any, Any]:
        if isinstance(data, CsvTable):
            predictions = None if self._direct is None else self._direct.predict(data)
            if predictions is not None:
                return predictions
            data = data.frame()
        framework = self._loaded.framework
        if framework is None:  # only a chat hook; the text is DRUM's
            raise AttributeError("'NoneType' object has no attribute 'predict'")
        values, names = framework.predict(self._loaded.model, data, self._target_type)
        return values, self._loaded.columns if names is None else names

    def _merge(self, features: Any, lengths: Sequence[int]) -> tuple[Any, Any]:
        merged = self._merged
        if merged is None:
            raise NotMergeableError
        by_blocks = isinstance(features, list)
        found = merged.predict_blocks(features, lengths) if by_blocks else merged.predict_frame(features, lengths)
        if found is None:
            raise NotMergeableError
        return found

    def _missing_columns(self, data: Any) -> list[str]:
        """Columns that the model was fitted on and the client did not send (contract, Q-8)."""
        if not isinstance(data, pd.DataFrame):
            return []
        model = self._loaded.model
        wanted = getattr(model, "feature_names_in_", None)
        if wanted is None:
            wanted = getattr(model, "feature_names", None)
        return [] if wanted is None else [name for name in wanted if name not in data.columns]

    def _split(self, scored: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        if self._proba:
            labels = list(reversed(self._labels or ())) if self._binary else list(self._labels or ())
            if scored.shape[1] <= len(labels):
                return scored, None
            extra = self._without(scored, labels)
            return scored[[name for name in scored.columns if name in labels]], extra
        if scored.shape[1] <= 1:
            return scored, None
        target = self._target_column(scored)
        extra = self._without(scored, [target])
        return scored[[target]], extra

    def _without(self, scored: pd.DataFrame, names: list[str]) -> pd.DataFrame:
        """``scored`` without the columns of the predictions. Raises ModelError with DRUM's text when one is missing."""
        try:
            rest: pd.DataFrame = scored.drop(columns=names)
            return rest
        except KeyError as error:
            listed = ", ".join(repr(str(name)) for name in scored.columns)
            wanted = ", ".join(map(repr, names))
            kind = f"for target type {self._target_type.value} it must return"
            if self._proba:
                remedy = f"the score hook returned the columns {listed}; {kind} one for each label, named {wanted}"
            else:
                remedy = f"the score hook returned the columns {listed}; {kind} one column, or {wanted} beside others"
            if self._target_type.is_text:
                remedy += ", the name that the environment variable TARGET_NAME has"
            raise ModelError(str(error), remedy) from None

    def _target_column(self, scored: pd.DataFrame) -> str:
        if not self._target_type.is_text:
            return SINGLE_COLUMN
        name = self._loaded.spec.target_name or os.environ.get("TARGET_NAME", "")
        return name if name in scored.columns else name.strip('"')

    def _validate(self, values: Any, names: Any) -> ValidatedPredictions:
        first = self._loaded.spec.single_output_is == "positive"
        if not self._has_post_process:
            return validate_predictions(
                values, names, self._target_type, self._labels, single_output_first=first and self._binary
            )
        # Only here DRUM orders binary labels [negative, positive] (contract, 4.7 step 3, Q-1).
        order = tuple(reversed(self._labels)) if self._binary and self._labels else self._labels
        before = validate_predictions(values, names, self._target_type, order).frame()
        after = run_stage(
            "Model 'post_process' hook failed to post-process predictions.",
            self._hooks.call,
            "post_process",
            before,
            self._loaded.model,
        )
        if not isinstance(after, pd.DataFrame):
            raise ValueError(f"Output of post_process hook must be a dataframe, not a {type(after)}")
        return validate_predictions(after.to_numpy(), after.columns, self._target_type, self._labels)

    @property
    def _binary(self) -> bool:
        return self._target_type is TargetType.BINARY

    def _make_label_kwargs(self) -> dict[str, Any]:
        if self._labels is None:
            return {}
        if self._binary:
            return {"positive_class_label": self._labels[0], "negative_class_label": self._labels[1]}
        return {"class_labels": list(self._labels)}

    def _check_count(self, validated: ValidatedPredictions, rows: Any) -> None:
        """Warn about another number of predictions: legal, but more often a mistake (contract, section 8, Q-19)."""
        if not isinstance(rows, (pd.DataFrame, CsvTable)) or len(validated.values) == len(rows):
            return
        if self._count_warning.acquire(blocking=False):  # never released: one warning per model
            logger.warning(
                "The model returned %d predictions for %d rows. This is reported once.",
                len(validated.values),
                len(rows),
            )


def _about_rows(error: StageError, rows: Any, payload: Payload) -> StageError:
    """``error``, with a hint where the data is one line: a header, because ``curl -d`` has removed the line breaks.

    The client sees it only after the text of a library: what a hook raises is the model's own.
    """
    data = payload.data
    if data is None or b"\n" in data or b"\r" in data or not isinstance(rows, (pd.DataFrame, CsvTable)) or len(rows):
        return error
    if str(error).startswith(_FRAMEWORK_FAILURE):
        return StageError(f"{error} {NO_ROWS}")
    return StageError(str(error), NO_ROWS)


def _require_scores(result: Any) -> pd.DataFrame:
    if not isinstance(result, pd.DataFrame):
        raise ValueError(f"score must return a dataframe, but received {type(result)}")
    return result
