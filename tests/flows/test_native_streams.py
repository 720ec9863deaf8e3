"""Streams as the vendors' servers frame them pass byte for byte, however they are cut, and are counted to the token."""

import http.client
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import RunningGateway, provider_toml
from tests.support.replayer import Replayer

CORPUS = Path(__file__).parents[1] / "support" / "corpus"
ORIGINALS = {path.name: path for path in (CORPUS / "original").glob("*.sse")}
STREAMS = {
    **{path.name: path for folder in ("streams", "recorded") for path in (CORPUS / folder).iterdir()},
    **ORIGINALS,
}
RATES = {
    "input": 3.0,
    "cached_input": 0.3,
    "cache_write": 3.75,
    "output": 15.0,
    "reasoning": 15.0,
    "per_search": 0.01,
}
EXPECTED: dict[str, dict[str, int]] = {
    "anthropic_text": {"input": 25, "output": 15},
    "anthropic_thinking_tool": {
        "input": 472,
        "cached_input": 1024,
        "cache_write": 2051,
        "output": 88,
        "reasoning": 301,
    },
    "anthropic_web_search": {"input": 10682, "output": 510, "per_search": 1},
    "gemini_thoughts": {"input": 37, "output": 17, "reasoning": 65},
    "gemini_call": {"input": 512, "cached_input": 2048, "output": 16, "reasoning": 124},
    "gemini_grounded": {"input": 70, "output": 8, "per_search": 1},
    "openai_chat_tool": {"input": 53, "output": 15},
    "openai_chat_moderated": {"input": 13, "output": 11},
    "openai_responses_reasoning": {"input": 13, "output": 276, "reasoning": 256},
    "anthropic_redacted": {"input": 92, "output": 189},
    "anthropic_compaction": {"input": 281, "cached_input": 55096, "output": 91},
    "anthropic_advisor": {"input": 7455, "output": 7271},
    "gemini_live_usage": {"input": 18, "output": 80, "reasoning": 35},
    "gemini_search": {"input": 121, "output": 205, "reasoning": 319, "per_search": 1},
    # As the vendors' servers sent them. A compaction is billed beside the totals, what a tool put into the prompt in it.
    "anthropic_citations": {"input": 566, "output": 46},
    "anthropic_code_execution": {"input": 3294, "output": 92},
    "anthropic_compacted": {"input": 83555 + 224, "output": 154 + 22},
    "anthropic_thinking": {"input": 36, "output": 49},
    "anthropic_tool": {"input": 567, "output": 57},
    "gemini_text": {"input": 14, "output": 33},
    "gemini_tool_prompt": {"input": 32 + 764, "output": 477, "reasoning": 240},
    "gemini_two_calls": {"input": 71, "output": 33, "reasoning": 93},
    "openai_chat_text": {"input": 12, "output": 5},
    "openai_chat_two_choices": {"input": 26, "output": 104},
    "openai_chat_two_tools": {"input": 75, "output": 51},
    "openai_responses_custom_tool": {"input": 47, "output": 21, "reasoning": 192},
    "openai_responses_incomplete": {"input": 18, "output": 16},
    "openai_responses_tool": {"input": 53, "output": 23, "reasoning": 10},
}
NAMES = sorted(STREAMS)
USAGE_CHUNK = re.compile(rb'data: [^\n]*"choices":\[\],"usage":\{[^\n]*\n\n')


@pytest.fixture(scope="module")
def replayer() -> Iterator[Replayer]:
    with Replayer() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(replayer: Replayer) -> Iterator[RunningGateway]:
    tables = ""
    price = ", ".join(f"{name} = {rate}" for name, rate in RATES.items())
    for name in ("anthropic", "gemini", "openai"):
        origin = f"{replayer.origin}/v1" if name == "openai" else replayer.origin
        tables += provider_toml(origin, name=name, dialect=name)
        tables += f'[[models]]\nname = "own-{name}"\ntargets = [{{ provider = "{name}", model = "m" }}]\nprice = {{ {price} }}\n'
    with RunningGateway(tables) as running:
        yield running


def request_for(name: str) -> tuple[str, dict[str, Any]]:
    if name.startswith("anthropic"):
        messages = [{"role": "user", "content": "hi"}]
        return "/v1/messages", {
            "model": "own-anthropic",
            "max_tokens": 9,
            "messages": messages,
            "stream": True,
        }
    if name.startswith("openai_chat"):
        messages = [{"role": "user", "content": "hi"}]
        body = {"model": "own-openai", "messages": messages, "stream": True}
        return "/v1/chat/completions", {**body, "stream_options": {"include_usage": True}}
    if name.startswith("openai"):
        return "/v1/responses", {"model": "own-openai", "input": "hi", "stream": True}
    query = "?alt=sse" if name.endswith(".sse") else ""
    contents = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    return f"/v1beta/models/own-gemini:streamGenerateContent{query}", contents


def cut(data: bytes, way: str) -> list[bytes]:
    if way == "whole":
        return [data]
    if way == "bytes":
        return [data[at : at + 1] for at in range(len(data))]
    dice = random.Random(way)
    pieces, at = [], 0
    while at < len(data):
        size = dice.randrange(1, 200)
        pieces.append(data[at : at + size])
        at += size
    return pieces


def test_there_are_streams() -> None:
    assert (
        {name.partition(".")[0] for name in NAMES} == EXPECTED.keys()
        and len(NAMES) == 31
        and len(ORIGINALS) == 14
    )


def replay(
    gateway: RunningGateway, replayer: Replayer, name: str, way: str, **members: Any
) -> tuple[str, bytes, str | None]:
    """The id of a new key, and what it was answered when the provider sent the stream in such pieces."""
    replayer.pieces = cut(STREAMS[name].read_bytes(), way)
    is_array = name.endswith(".json")
    replayer.content_type = "application/json; charset=UTF-8" if is_array else "text/event-stream"
    key = gateway.create_key(name)
    path, body = request_for(name)
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    headers = {"x-api-key": key.secret, "content-type": "application/json"}
    connection.request("POST", path, json.dumps({**body, **members}), headers)
    answer = connection.getresponse()
    received = answer.read()
    connection.close()
    assert key.secret.encode() not in replayer.requests[-1]
    return key.id, received, answer.headers["content-type"]


def check_charge(gateway: RunningGateway, name: str, key_id: str) -> None:
    [row] = gateway.settled_rows(key_id)
    assert (row["usage_source"], row["outcome"]) == ("provider", "completed")
    counts = EXPECTED[name.partition(".")[0]]
    micros = sum(round(RATES[kind] * 1000) * count for kind, count in counts.items() if kind != "per_search")
    assert row["charged_nanos"] == micros + counts.get("per_search", 0) * 10_000_000


WAYS = [
    (name, way)
    for name in NAMES
    for way in (("whole", "dice-1") if name in ORIGINALS else ("whole", "bytes", "dice-1", "dice-2"))
]


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_byte_for_byte(gateway: RunningGateway, replayer: Replayer, name: str, way: str) -> None:
    key_id, received, content_type = replay(gateway, replayer, name, way)
    assert received == STREAMS[name].read_bytes()
    is_array = name.endswith(".json")
    assert content_type == (
        "application/json; charset=UTF-8" if is_array else "text/event-stream; charset=utf-8"
    )
    check_charge(gateway, name, key_id)
    sent = replayer.requests[-1].lower()
    credential = {
        "anthropic": b"x-api-key: ",
        "gemini": b"x-goog-api-key: ",
        "openai": b"authorization: bearer ",
    }
    assert b"\r\n" + credential[name.partition("_")[0]] + b"fake-key\r\n" in sent
    assert (b"\r\nanthropic-version: 2023-06-01\r\n" in sent) == name.startswith("anthropic")


@pytest.mark.parametrize("way", ["whole", "dice-1"])
@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("openai_chat")])
def test_who_did_not_ask_for_the_usage_is_not_shown_it(
    gateway: RunningGateway, replayer: Replayer, name: str, way: str
) -> None:
    key_id, received, _ = replay(gateway, replayer, name, way, stream_options=None)
    data = STREAMS[name].read_bytes()
    rest, found = USAGE_CHUNK.subn(b"", data)
    assert found == 1 and received == rest
    assert b'"include_usage":true' in replayer.requests[-1]
    check_charge(gateway, name, key_id)
