"""Refusals before the model is called, with DRUM's texts (contract, 3.5 to 3.11)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drum_litestar.errors import RequestError
from drum_litestar.predictors import rules
from drum_litestar.predictors.protocol import ModelCard, TargetType
from http_serving import card

Rule = Callable[[ModelCard], None]

ORDINARY = [t for t in TargetType if t not in (TargetType.TRANSFORM, TargetType.UNSTRUCTURED)]


def refusal(rule: Rule, described: ModelCard) -> tuple[int, str]:
    with pytest.raises(RequestError) as caught:
        rule(described)
    return caught.value.status, caught.value.body()["message"]


@pytest.mark.parametrize("target", ORDINARY)
def test_structured_targets(target: TargetType) -> None:
    rules.check_structured(card(target))
    assert refusal(rules.check_transform, card(target)) == (
        422,
        f"ERROR: This model has target type TargetType.{target.name}, use the /predict/ endpoint.",
    )
    assert refusal(rules.check_unstructured, card(target)) == (
        422,
        f"ERROR: This model has target type TargetType.{target.name}, use either /predict/ or /predictions/ endpoint.",
    )


def test_transform_target() -> None:
    described = card(TargetType.TRANSFORM)
    rules.check_transform(described)
    assert refusal(rules.check_structured, described) == (
        422,
        "ERROR: This model has target type 'transform', use the /transform/ endpoint.",
    )
    assert refusal(rules.check_unstructured, described)[1].startswith(
        "ERROR: This model has target type TargetType.TRANSFORM, use either"
    )


def test_unstructured_target() -> None:
    described = card(TargetType.UNSTRUCTURED)
    rules.check_unstructured(described)
    assert refusal(rules.check_structured, described) == (
        422,
        "ERROR: This model has target type 'unstructured', use the /predictUnstructured/ or /predictionsUnstructured/ "
        "endpoint.",
    )
    assert refusal(rules.check_transform, described) == (
        422,
        "ERROR: This model has target type TargetType.UNSTRUCTURED, use the /predictUnstructured/ endpoint.",
    )


def test_a_text_model_may_have_score_unstructured() -> None:
    rules.check_unstructured(card(TargetType.TEXT_GENERATION, unstructured=True))


@pytest.mark.parametrize("target", list(TargetType))
def test_completions_and_embeddings(target: TargetType) -> None:
    rules.check_completion(card(target, completions=True))
    rules.check_embed(card(target, embeddings=True))
    completion, embed = "completion() is not implemented.", "embed() is not implemented."
    if target in (TargetType.TEXT_GENERATION, TargetType.AGENTIC_WORKFLOW):
        completion = "neither completion() nor score() is implemented."
    if target is TargetType.UNSTRUCTURED:
        completion = embed = "it is not supported for target type 'unstructured'."
    assert refusal(rules.check_completion, card(target)) == (
        404,
        f"ERROR: This model's completion interface was called, but {completion}",
    )
    assert refusal(rules.check_embed, card(target)) == (
        404,
        f"ERROR: This model's embedding interface was called, but {embed}",
    )


def test_who_answers_rows() -> None:
    assert rules.answers_rows(card())
    assert rules.answers_rows(card(chat=True, hooks=("chat", "score")))
    assert rules.answers_rows(card(hooks=("embed",), info={"predictor": "scikit-learn"}))
    for hook in ("completion", "embed"):
        assert not rules.answers_rows(card(hooks=(hook,)))
    assert not rules.answers_rows(card(chat=True))


@pytest.mark.parametrize("target", list(TargetType))
def test_chat_and_models(target: TargetType) -> None:
    rules.check_chat(card(target, chat=True))
    rules.check_models(card(target, models=True))
    text = target in (TargetType.TEXT_GENERATION, TargetType.AGENTIC_WORKFLOW)
    reason = "chat() is not implemented." if text else "chat is not supported."
    assert refusal(rules.check_chat, card(target)) == (
        404,
        f"ERROR: This model's chat interface was called, but {reason}",
    )
    assert refusal(rules.check_models, card(target)) == (
        404,
        "ERROR: get_supported_llm_models is supported only for TextGen models",
    )
