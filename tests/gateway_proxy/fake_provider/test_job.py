"""Understanding requests: token counts, caps, directives' places, multipart."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proxy.fake_provider.behaviour import HONEST
from gateway_proxy.fake_provider.job import BadRequest, Job, count_prompt_tokens, last_user_text, parse_job

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def chat(prompt: str = "hi", **more: Any) -> Job:
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}], **more}
    return parse_job("fake-1", "/v1/chat/completions", "application/json", orjson.dumps(body), HONEST)


def test_prompt_tokens_follow_the_formula() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x" * 40}]}
    assert count_prompt_tokens(body, 1000) == (40 + len("user")) // 4 + 3 + 3
    assert count_prompt_tokens({"input": [[1, 2, 3], [4]]}, 1000) == 4 + 3


@given(st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": TEXT})), TEXT)
def test_prompt_tokens_never_exceed_the_bytes_of_the_body(messages: list[Any], text: str) -> None:
    body = {"messages": messages, "input": text, "documents": [text, text]}
    size = len(orjson.dumps(body))
    assert 0 < count_prompt_tokens(body, size) <= size


def test_output_is_sixteen_tokens_unless_capped_or_ordered() -> None:
    assert (chat().total_tokens, chat().finish_reason) == (16, "stop")
    assert (chat(max_tokens=5).total_tokens, chat(max_tokens=5).finish_reason) == (5, "length")
    assert chat(max_tokens=500).total_tokens == 16
    assert chat("[[fake: tokens=50]]", max_tokens=40, max_completion_tokens=30).total_tokens == 30
    assert chat("[[fake: tokens=50]]", n=3).total_tokens == 150


def test_exceeding_the_cap_makes_a_tenth_more_and_at_least_one() -> None:
    assert chat("[[fake: mode=exceeds_cap]]", max_tokens=100).total_tokens == 110
    assert chat("[[fake: mode=exceeds_cap]]", max_tokens=1).total_tokens == 2
    assert chat("[[fake: mode=exceeds_cap]]").total_tokens == 16


def test_reasoning_is_a_part_of_the_output_and_under_the_cap() -> None:
    job = chat("[[fake: tokens=20 reasoning=12]]")
    assert (job.reasoning, len(job.pieces), job.total_tokens) == (12, 8, 20)
    job = chat("[[fake: tokens=20 reasoning=12]]", max_tokens=5)
    assert (job.reasoning, len(job.pieces), job.total_tokens) == (5, 0, 5)


def test_cached_tokens_are_a_part_of_the_prompt() -> None:
    job = chat("[[fake: cached=1000000]]")
    assert job.cached_tokens == job.prompt_tokens


@pytest.mark.parametrize(
    "body",
    [
        {
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "user", "content": "b"},
                {"role": "tool", "content": "c"},
            ]
        },
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "b"}]}]},
        {"input": "b"},
        {"input": ["a", "b"]},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "b"}]}]},
        {"prompt": "b"},
        {"prompt": ["a", "b"]},
        {"query": "b"},
    ],
)
def test_the_last_user_text_is_found(body: dict[str, Any]) -> None:
    assert last_user_text(body) == "b"


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b"{}", "model"),
        (b'{"model":5}', "model"),
        (b'{"model":"m","max_tokens":"x"}', "max_tokens"),
        (b'{"model":"m","n":0}', "n"),
        (b'{"model":"m","n":true}', "n"),
    ],
)
def test_a_bad_body_names_the_member_at_fault(raw: bytes, param: str | None) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_job("fake-1", "/v1/chat/completions", "application/json", raw, HONEST)
    assert caught.value.param == param


def test_multipart_fields_and_files_are_read() -> None:
    raw = (
        b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nwhisper\r\n'
        b'--b\r\ncontent-disposition: form-data; name="prompt"\r\n\r\n[[fake: tokens=2]]\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        + b"\x00\xff\r\n" * 300
        + b"\r\n--b--\r\n"
    )
    job = parse_job("fake-1", "/v1/audio/transcriptions", "multipart/form-data; boundary=b", raw, HONEST)
    assert (job.model, job.total_tokens, job.files["file"]) == ("whisper", 2, b"\x00\xff\r\n" * 300)
    assert job.prompt_tokens == len("[[fake: tokens=2]]") // 4 + 3 + 12
