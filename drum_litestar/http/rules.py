"""What can be refused without the model: pure functions of the ModelCard, in DRUM's words (contract, 3.5 to 3.11)."""

from __future__ import annotations

from drum_litestar.errors import UnprocessableError, UnsupportedRouteError
from drum_litestar.predictors.protocol import ModelCard, TargetType

CHAT_TARGETS = frozenset({TargetType.TEXT_GENERATION, TargetType.AGENTIC_WORKFLOW})


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
        reason = "chat() is not implemented." if card.target_type in CHAT_TARGETS else "chat is not supported."
        raise UnsupportedRouteError(f"This model's chat interface was called, but {reason}")


def check_models(card: ModelCard) -> None:
    """``/models``. Raises UnsupportedRouteError."""
    if not card.models:
        raise UnsupportedRouteError("get_supported_llm_models is supported only for TextGen models")
