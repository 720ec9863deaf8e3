"""The usage objects, true or forged as the mode orders. What is billed does not depend on anything here."""

import dataclasses
from typing import Any

HUGE = 2**63


@dataclasses.dataclass(frozen=True, slots=True)
class Count:
    """Tokens of one request; cached is a part of prompt, reasoning of completion."""

    prompt: int
    completion: int
    cached: int = 0
    reasoning: int = 0


def chat_usage(count: Count) -> dict[str, Any]:
    """Chat and completions."""
    return {
        "prompt_tokens": count.prompt,
        "completion_tokens": count.completion,
        "total_tokens": count.prompt + count.completion,
        "prompt_tokens_details": {"cached_tokens": count.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": count.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def responses_usage(count: Count) -> dict[str, Any]:
    """Responses."""
    return {
        "input_tokens": count.prompt,
        "input_tokens_details": {"cached_tokens": count.cached, "cache_write_tokens": 0},
        "output_tokens": count.completion,
        "output_tokens_details": {"reasoning_tokens": count.reasoning},
        "total_tokens": count.prompt + count.completion,
    }


def embeddings_usage(count: Count) -> dict[str, Any]:
    """Embeddings and rerank."""
    return {"prompt_tokens": count.prompt, "total_tokens": count.prompt}


def images_usage(count: Count) -> dict[str, Any]:
    """Images."""
    return {
        "input_tokens": count.prompt,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": count.prompt},
        "output_tokens": count.completion,
        "total_tokens": count.prompt + count.completion,
    }


def transcription_usage(count: Count) -> dict[str, Any]:
    """Transcriptions priced by token."""
    return {
        "type": "tokens",
        "input_tokens": count.prompt,
        "input_token_details": {"text_tokens": 0, "audio_tokens": count.prompt},
        "output_tokens": count.completion,
        "total_tokens": count.prompt + count.completion,
    }


def forge_usage(usage: dict[str, Any], mode: str) -> dict[str, Any] | None:
    """What the provider says for `mode`: the truth, nothing at all, or the same object with every number bent."""
    if mode == "no_usage":
        return None
    if mode not in ("usage_zero", "usage_negative", "usage_float", "usage_string", "usage_huge"):
        return usage
    return {name: _bend(value, mode) for name, value in usage.items()}


def _bend(value: Any, mode: str) -> Any:
    if isinstance(value, dict):
        return {name: _bend(inner, mode) for name, inner in value.items()}
    if not isinstance(value, int):
        return value
    bent = {"usage_zero": 0, "usage_negative": -max(1, value), "usage_float": value + 0.5, "usage_huge": HUGE}
    return bent.get(mode, str(value))
