"""The interface of a predictor: typed calls and replies that hold bytes.

Every type here is a ``msgspec.Struct`` that crosses a process boundary as msgpack, except :class:`StreamReply`,
whose chunks are pulled one by one in the process that owns the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO, Dict, Final, List, Literal, Optional, Protocol, Tuple, cast

import msgspec

CallKind = Literal[
    "predict",
    "predict_stream",
    "transform",
    "unstructured",
    "chat",
    "completion",
    "embed",
    "models",
    "infer",
    "infer_v1",
    "generate",
    "generate_stream",
    "liveness",
    "readiness",
    "score",
    "column_types",
]
"""One for each family of routes that needs the model. Probes are sent only with ``ModelCard.probes_model``. The last
two have no route: ``drum-litestar predict`` scores a part of a table, and asks for the types of its columns."""

CSV_HEADER: Final = "csv-header"
"""Header of the reply to a ``score`` call that holds the CSV's header line, with its line end."""
BLANK_COLUMN: Final = "blank"
TEXT_COLUMN: Final = "text"
"""Types of columns in the reply to a ``column_types`` call, besides those of NumPy."""


STRUCTURED_TYPES: Final = ("text/csv", "text/plain", "application/json")
"""Content types that the body of a structured call may have for every model (contract, 3.5 and 8)."""
SPARSE_TYPE: Final = "text/mtx"
GZIP_MAGIC: Final = b"\x1f\x8b"
"""The first bytes of what gzip has compressed."""


class TargetType(Enum):
    """What the model predicts. Values are the words of ``--target-type``; clients see ``str()`` in error texts."""

    BINARY = "binary"
    REGRESSION = "regression"
    ANOMALY = "anomaly"
    UNSTRUCTURED = "unstructured"
    MULTICLASS = "multiclass"
    TRANSFORM = "transform"
    TEXT_GENERATION = "textgeneration"
    GEO_POINT = "geopoint"
    VECTOR_DATABASE = "vectordatabase"
    AGENTIC_WORKFLOW = "agenticworkflow"
    MULTILABEL = "multilabel"

    @property
    def has_label_list(self) -> bool:
        """Class labels are a list of any length, not a positive and a negative one."""
        return self in (TargetType.MULTICLASS, TargetType.MULTILABEL)

    @property
    def is_classification(self) -> bool:
        """Predictions are one probability for each class label."""
        return self is TargetType.BINARY or self.has_label_list

    @property
    def generates_text(self) -> bool:
        """A language model answers: it waits on networks, and it may chat."""
        return self in (TargetType.TEXT_GENERATION, TargetType.AGENTIC_WORKFLOW)

    @property
    def is_text(self) -> bool:
        """Predictions are texts in a column that the target's name names (contract, 4.8)."""
        return self.generates_text or self is TargetType.VECTOR_DATABASE

    @property
    def keeps_values(self) -> bool:
        """Predictions are not cast to float (contract, 3.6)."""
        return self.is_text or self is TargetType.GEO_POINT


class Payload(msgspec.Struct, frozen=True, array_like=True):
    """A raw request body, or one file part of a multipart body. Never parsed in the HTTP process.

    Exactly one of ``data`` and ``path`` is set: large payloads travel as the path of a spool file that the HTTP
    process created and removes when the request ends.
    """

    data: Optional[bytes] = None
    path: Optional[str] = None
    size: int = 0
    """Length in bytes."""
    filename: Optional[str] = None
    """The part's file name; None for a raw body (contract, 3.5: the name decides a part's format)."""
    mimetype: Optional[str] = None
    """The media type without parameters, as sent (case kept), of the request or of the file part; None when absent."""
    charset: Optional[str] = None
    """The ``charset`` parameter of the request's Content-Type, as sent; None when absent, or for a file part."""

    def read(self) -> bytes:
        """The whole content in memory."""
        if self.data is not None:
            return self.data
        return Path(self.path or "").read_bytes()

    def open(self) -> BinaryIO:
        """A seekable binary stream over the content; the caller closes it."""
        if self.path is not None:
            return Path(self.path).open("rb")
        import io

        return io.BytesIO(self.data or b"")


class ModelCall(msgspec.Struct, frozen=True, kw_only=True):
    """One request to the model."""

    kind: CallKind
    request_id: str = ""
    body: Optional[Payload] = None
    """Raw body: chat, unstructured, or X sent as the body of a structured route."""
    x: Optional[Payload] = None
    """The data of a structured call, from the file part ``X`` or from the raw body."""
    y: Optional[Payload] = None
    """File part ``y`` (transform only)."""
    colnames: Optional[Payload] = None
    """File part ``X.colnames``."""
    headers: Tuple[Tuple[str, str], ...] = ()
    """Request headers in order, names as HTTP/1.1 delivers them (any case), for hooks that receive them."""
    query: Tuple[Tuple[str, str], ...] = ()
    """Decoded query parameters in order, repeats kept."""
    trace: Dict[str, str] = {}
    """Trace context carrier (W3C headers)."""
    answer: str = ""
    """The media type, of those that the model may answer with, that the client prefers to JSON; empty for JSON."""
    json_size: Optional[int] = None
    """Of an ``infer`` call: length in bytes of the JSON at the begin of ``body``, which tensors in binary follow.
    0: the body is one tensor without JSON. None: the body is JSON alone."""
    column_types: Dict[str, str] = {}
    """Types of columns of ``x``, a part of a table, where this part alone would be read with others: ``float64`` or
    ``str`` by name."""
    timed: bool = False
    """The answer tells the times of the call's steps. Such a call is never batched."""
    explained: bool = False
    """The answer to a call that fails has the traceback, for the operator."""


class SpanReport(msgspec.Struct, frozen=True, array_like=True):
    """What the worker adds to the request's span, which the HTTP process holds open (contract, 5.6)."""

    attributes: Dict[str, Any] = {}
    error: Optional[str] = None
    """The span's error description; None leaves its status unset."""
    exception: Optional[Tuple[str, str, str]] = None
    """Type, message and stack trace of what was raised."""


class Reply(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A complete answer."""

    status: int = 200
    body: bytes = b""
    content_type: Optional[str] = "application/json"
    headers: Tuple[Tuple[str, str], ...] = ()
    span: Optional[SpanReport] = None
    """Set only when tracing is on."""
    hint: str = ""
    """What to do about an error, for logs and commands; no client sees it."""
    lost_reports: int = 0
    """Monitoring reports that this process has lost since its previous answer (contract, section 8, Q-15)."""
    steps: Dict[str, float] = {}
    """Of a timed call: seconds by step (:mod:`drum_litestar.predictors.steps`)."""
    traceback: str = ""
    """Of the exception that an explained call ended with; no client sees it."""


class StreamHead(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Status and headers of a streamed answer."""

    status: int = 200
    content_type: str = "text/event-stream; charset=utf-8"
    headers: Tuple[Tuple[str, str], ...] = ()
    span: Optional[SpanReport] = None
    """Set only when tracing is on."""
    lost_reports: int = 0
    """Monitoring reports that this process has lost since its previous answer (contract, section 8, Q-15)."""
    steps: Dict[str, float] = {}
    """Of a timed call: seconds by step (:mod:`drum_litestar.predictors.steps`)."""


class StreamReply:
    """A streamed answer in the model's process.

    ``chunks`` yields bytes to send as they come. The predictor has already pulled what it needs to decide the
    status, so an error before the first chunk is a plain :class:`Reply`; later errors are handled by the iterator
    (contract, section 8, Q-16). ``close()`` stops the producer: its ``finally`` blocks run.
    """

    def __init__(self, head: StreamHead, chunks: Iterator[bytes]) -> None:
        self.head = head
        self.chunks = chunks

    def close(self) -> None:
        close = getattr(self.chunks, "close", None)
        if close is not None:
            close()


BatchingRule = Literal["never", "on_request", "always"]
"""``always``: a batch is known to give the bytes of single calls. ``on_request``: if the operator asks for batches,
because only the author of the hooks knows that they treat each row alone."""


MOST_DIMENSIONS: Final = 16
"""Of a tensor of the Open Inference Protocol."""
MOST_INPUTS: Final = 65_536
"""Tensors of one of its requests. A tensor of one number takes 100 µs and 2 kB; wider tables are sent as one."""


class TensorInfo(msgspec.Struct, frozen=True, array_like=True):
    """What the Open Inference Protocol says of one input or output."""

    name: str
    datatype: str
    """One of the protocol's words, ``FP64`` for example."""
    shape: Tuple[int, ...]
    """-1 for a free dimension, such as the number of rows."""
    labels: Tuple[str, ...] = ()
    """Class labels, in the order of the last dimension."""


class InferenceInfo(msgspec.Struct, frozen=True, array_like=True):
    """The model as the Open Inference Protocol describes it."""

    platform: str
    inputs: Tuple[TensorInfo, ...] = ()
    """Empty where nothing tells the columns."""
    outputs: Tuple[TensorInfo, ...] = ()
    """Empty where only an answer tells them (transform)."""


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """Static description of a loaded model, sent to the HTTP process once, when a worker is ready."""

    target_type: TargetType
    info: Dict[str, Any] = {}
    """The fields of ``/info/`` except ``drumServer`` and ``drumVersion``."""
    payload_formats: Dict[str, Optional[str]] = msgspec.field(default_factory=lambda: {"csv": None, "mtx": None})
    """``supported_payload_formats`` of ``/capabilities/``."""
    mimetypes: Tuple[str, ...] = (*STRUCTURED_TYPES, SPARSE_TYPE)
    """Content types that a raw structured body may have; a missing one is CSV."""
    columnar_problem: str = ""
    """Why the model cannot be sent Arrow or Parquet: which package is absent. Empty where it can, or never could."""
    any_format: bool = False
    """The model reads its input itself (``read_input_data``), so the format is not checked."""
    hooks: Tuple[str, ...] = ()
    """Hooks found in ``custom.py``."""
    chat: bool = False
    completions: bool = False
    """The model answers ``/v1/completions``, by its ``completion`` hook or by scoring prompts."""
    embeddings: bool = False
    models: bool = False
    """``/models`` is offered (text generation)."""
    unstructured: bool = False
    """The model answers ``/predictUnstructured/``."""
    probes_model: bool = False
    """Health routes must ask the predictor (NIM, vLLM, Triton)."""
    direct_access: Optional[str] = None
    """Base URL of the OpenAI-compatible server behind ``/directAccess/``; None when there is none."""
    batching: BatchingRule = "never"
    """When structured predictions may be answered by :meth:`BatchPredictor.handle_batch`."""
    row_by_row: bool = False
    """No code of the model folder's author sees rows, so that a table may be scored in parts."""
    concurrency: int = 1
    """Default number of concurrent calls in one worker."""
    may_wait: bool = True
    """Code of the model folder's author runs in calls, and may wait. False: a library alone computes, and more threads
    would only slow it down; or calls must run in the main thread."""
    inference: InferenceInfo = InferenceInfo("unknown")
    example: Tuple[Tuple[str, str], ...] = ()
    """Column names and values of one row that the model can be asked with; empty where nothing tells."""
    description: str = ""
    """Log line: which predictor runs and why."""
    warnings: Tuple[str, ...] = ()
    """Logged once by the HTTP process."""

    @property
    def labels(self) -> List[str]:
        """The class labels; of a binary model the positive one first."""
        info = self.info
        if "classLabels" in info:
            return [str(label) for label in info["classLabels"]]
        return [str(info[f"{sign}ClassLabel"]) for sign in ("positive", "negative") if f"{sign}ClassLabel" in info]


class Predictor(Protocol):
    """A model that answers calls. Synchronous; called from several threads when the operator asks for that."""

    def load(self) -> ModelCard:
        """Load the model. Raises :class:`drum_litestar.errors.ModelLoadError` (anything else is wrapped in one)."""

    def handle(self, call: ModelCall) -> Reply | StreamReply:
        """Answer one call. Errors of the model and of the client's data are replies, not exceptions."""

    def close(self) -> None:
        """Release the resources of the model. Called once, also after a failed ``load``."""


class BatchPredictor(Predictor, Protocol):
    """A predictor that can answer several structured calls, all CSV or all tensors, with one call of the model."""

    @property
    def batching(self) -> bool:
        """Calls may be batched. Turns False for good when the model proves not to work row by row."""

    def handle_batch(self, calls: Sequence[ModelCall]) -> list[Reply] | None:
        """Answer the calls with as few calls of the model as possible.

        Returns one reply for each call, byte-identical to that of :meth:`Predictor.handle`. Returns None when
        batching could change what the model sees, or when the batched call failed: the caller then runs each call
        on its own.
        """


class HasFileno(Protocol):
    """What has a file descriptor."""

    def fileno(self) -> int: ...


class CallLoop(Protocol):
    """The thread of a model whose calls wait for asynchronous code: they overlap in it, without threads of their
    own."""

    def submit(self, job: Callable[[], None]) -> None:
        """Run ``job``, which must not raise, in the thread; while it waits, others run. Thread-safe."""

    def wait(self, future: Future[Any]) -> Any:
        """The result of ``future``, or its exception; called in a job."""

    def watch(self, file: HasFileno, callback: Callable[[], None]) -> None:
        """Call ``callback`` in the thread whenever ``file`` can be read. Thread-safe."""

    def unwatch(self, file: HasFileno) -> None:
        """End that. Called in the thread."""


def call_loop(predictor: Predictor) -> CallLoop | None:
    """Where the calls of the loaded ``predictor`` may overlap; None: in threads only."""
    loop: CallLoop | None = getattr(predictor, "call_loop", None)
    return loop


def batch_predictor(predictor: Predictor) -> BatchPredictor | None:
    """Return ``predictor`` as a batch predictor, None if it is none."""
    # isinstance() of a protocol takes 20 us, and this is asked for each batch
    return cast("BatchPredictor", predictor) if hasattr(predictor, "handle_batch") else None
