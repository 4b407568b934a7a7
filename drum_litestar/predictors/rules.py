"""What is refused before the model is called, with DRUM's texts (contract, 3.5 to 3.11).

Pure functions of the model's card. The HTTP process applies them before it reads the body; a predictor applies them
too, because its callers need not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Dict, Final, Sequence

from drum_litestar.errors import (
    BadRequestError,
    MissingReaderError,
    RequestError,
    UnprocessableError,
    UnsupportedRouteError,
)
from drum_litestar.media_types import FORM, JSON, is_columnar
from drum_litestar.predictors.protocol import CallKind, ModelCard, TargetType

NO_DATA: Final = "Samples should be provided as:   - a csv or mtx under `X` form-data param key.  - binary data"
"""Text for a structured call without data; the spaces are DRUM's."""


def check_structured(card: ModelCard) -> None:
    """``/predict/`` and its aliases. Raises UnprocessableError."""
    if card.target_type is TargetType.TRANSFORM:
        raise UnprocessableError("This model has target type 'transform', use the /transform/ endpoint.")
    if card.target_type is TargetType.UNSTRUCTURED:
        raise UnprocessableError(
            "This model has target type 'unstructured', use the /predictUnstructured/ or "
            "/predictionsUnstructured/ endpoint."
        )


def check_transform(card: ModelCard) -> None:
    """``/transform/``. Raises UnprocessableError."""
    if card.target_type is not TargetType.TRANSFORM:
        route = "/predictUnstructured/" if card.target_type is TargetType.UNSTRUCTURED else "/predict/"
        raise UnprocessableError(f"This model has target type {card.target_type}, use the {route} endpoint.")


def check_unstructured(card: ModelCard) -> None:
    """``/predictUnstructured/``; a text model with ``score_unstructured`` may (Q-9). Raises UnprocessableError."""
    if card.target_type is not TargetType.UNSTRUCTURED and not card.unstructured:
        raise UnprocessableError(
            f"This model has target type {card.target_type}, use either /predict/ or /predictions/ endpoint."
        )


def check_chat(card: ModelCard) -> None:
    """Chat routes. Raises UnsupportedRouteError, before the body is looked at (Q-23)."""
    if not card.chat:
        reason = "chat() is not implemented." if card.target_type.generates_text else "chat is not supported."
        raise UnsupportedRouteError(f"This model's chat interface was called, but {reason}")


def check_completion(card: ModelCard) -> None:
    """``/v1/completions``, which DRUM does not have. Raises UnsupportedRouteError."""
    if not card.completions:
        raise UnsupportedRouteError(f"This model's completion interface was called, but {_missing(card, 'completion')}")


def check_embed(card: ModelCard) -> None:
    """``/v1/embeddings``, which DRUM does not have. Raises UnsupportedRouteError."""
    if not card.embeddings:
        raise UnsupportedRouteError(f"This model's embedding interface was called, but {_missing(card, 'embed')}")


def _missing(card: ModelCard, hook: str) -> str:
    if card.target_type is TargetType.UNSTRUCTURED:
        return "it is not supported for target type 'unstructured'."
    if hook == "completion" and card.target_type.generates_text:
        return "neither completion() nor score() is implemented."
    return f"{hook}() is not implemented."


def check_models(card: ModelCard) -> None:
    """``/models``. Raises UnsupportedRouteError."""
    if not card.models:
        raise UnsupportedRouteError("get_supported_llm_models is supported only for TextGen models")


def check_generate(card: ModelCard) -> None:
    """``generate`` and ``generate_stream`` of the Open Inference Protocol. Raises BadRequestError."""
    if not card.target_type.generates_text:
        raise BadRequestError(f"generate is for text generation; this model has target type {card.target_type.value}")


_RULES: Final[Dict[CallKind, Callable[[ModelCard], None]]] = {
    "predict": check_structured,
    "predict_stream": check_structured,
    "transform": check_transform,
    "unstructured": check_unstructured,
    "chat": check_chat,
    "completion": check_completion,
    "embed": check_embed,
    "models": check_models,
    "generate": check_generate,
    "generate_stream": check_generate,
}


def check_call(card: ModelCard, kind: CallKind) -> None:
    """Apply the rule of ``kind``. Raises UnprocessableError or UnsupportedRouteError."""
    rule = _RULES.get(kind)
    if rule is not None:
        rule(card)


def answers_rows(card: ModelCard) -> bool:
    """Rows can be scored: there is more than hooks for chats, completions and embeddings."""
    only_openai = card.chat or "completion" in card.hooks or "embed" in card.hooks
    return not only_openai or "score" in card.hooks or bool(card.info.get("predictor"))


def accepts(mimetype: str, accepted: Sequence[str]) -> bool:
    """Whether ``accepted``, of the model's card, has ``mimetype``. DRUM distinguishes case (contract, 3.5); JSON and
    columnar types are ours."""
    plain = mimetype.lower()
    return mimetype in accepted or (plain in accepted and (plain == JSON or is_columnar(plain)))


def unsupported_format(mimetype: str | None, accepted: Sequence[str], columnar_problem: str = "") -> RequestError:
    """The error for a media type that neither the readers nor a ``read_input_data`` hook reads: DRUM's text (contract,
    3.5), and the types that are read.

    ``columnar_problem``: as in the card.
    """
    if columnar_problem and is_columnar(mimetype):
        return MissingReaderError(columnar_problem, accepted=[*accepted, FORM])
    return UnprocessableError(
        f"payload format `{mimetype}` is not supported by predictor/transformer. Make DRUM support the format or "
        "implement `read_input_data` hook to read the data. ",
        accepted=[*accepted, FORM],
    )
