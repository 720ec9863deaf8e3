"""plain: operations that generate no text."""

from typing import Any

import pytest

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.route import Route
from gateway_proxy.dialects.openai import plain


@pytest.mark.parametrize("given", [None, 7, {}, [1.5], [None], ["a", None], [[1], "a"]])
def test_embeddings_of_other_shapes(given: object) -> None:
    with pytest.raises(BadExchange) as caught:
        plain.understand_embeddings({"input": given}, Route("embeddings", "", "m"))
    assert (caught.value.code, caught.value.param) == ("invalid_type", "input")


def test_rerank_counts_searches_and_the_query_with_every_document() -> None:
    route = Route("rerank", "/rerank", "m", body_bytes=5_000)
    plain.understand_rerank({"query": "äb", "documents": ["x"] * 150}, route)
    assert route.bound.units is not None
    assert route.bound.units.searches == 2
    assert route.bound.tokens == 3 * 149 + 16 * 150
    assert route.max_output_tokens == 0


@pytest.mark.parametrize(
    ("understand", "body", "param"),
    [
        (plain.understand_rerank, {"query": 1}, "query"),
        (plain.understand_rerank, {"documents": "x"}, "documents"),
        (plain.understand_images, {"n": 0}, "n"),
        (plain.understand_images, {"n": 10**6}, "n"),
        (plain.understand_images, {"prompt": []}, "prompt"),
        (plain.understand_speech, {}, "input"),
        (plain.understand_speech, {"input": ["x"]}, "input"),
        (plain.understand_speech, {"input": "x", "stream_format": 1}, "stream_format"),
    ],
)
def test_the_member_at_fault_is_named(understand: Any, body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadExchange) as caught:
        understand(body, Route("x", "/images/generations", "m"))
    assert (caught.value.code, caught.value.param) == ("invalid_type", param)


def test_pictures_and_speech_bound_the_tokens_that_they_may_be_billed_in() -> None:
    route = Route("images", "/images/generations", "m")
    plain.understand_images({"n": 2}, route)
    assert route.bound.units is not None
    assert route.bound.units.output == 2 * plain.TOKENS_PER_IMAGE
    route = Route("audio", "/audio/speech", "m")
    plain.understand_speech({"input": "abc"}, route)
    assert route.bound.units is not None
    assert route.bound.units.output == 3 * plain.TOKENS_PER_CHARACTER + plain.TOKENS_PER_SPEECH
