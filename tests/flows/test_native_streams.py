"""Streams as the vendors' servers frame them pass byte for byte, however they are cut, and are counted to the token."""

import http.client
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import RunningGateway, provider_toml
from tests.support.replayer import Replayer

STREAMS = Path(__file__).parents[1] / "support" / "corpus" / "streams"
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
}
NAMES = sorted(path.name for path in STREAMS.iterdir())


@pytest.fixture(scope="module")
def replayer() -> Iterator[Replayer]:
    with Replayer() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(replayer: Replayer) -> Iterator[RunningGateway]:
    tables = ""
    price = ", ".join(f"{name} = {rate}" for name, rate in RATES.items())
    for name in ("anthropic", "gemini"):
        tables += provider_toml(replayer.origin, name=name, dialect=name)
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
    query = "?alt=sse" if name.endswith(".sse") else ""
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    return f"/v1beta/models/own-gemini:streamGenerateContent{query}", body


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
    assert {name.partition(".")[0] for name in NAMES} == EXPECTED.keys() and len(NAMES) == 9


@pytest.mark.parametrize("way", ["whole", "bytes", "dice-1", "dice-2"])
@pytest.mark.parametrize("name", NAMES)
def test_byte_for_byte(gateway: RunningGateway, replayer: Replayer, name: str, way: str) -> None:
    data = (STREAMS / name).read_bytes()
    replayer.pieces = cut(data, way)
    is_array = name.endswith(".json")
    replayer.content_type = "application/json; charset=UTF-8" if is_array else "text/event-stream"
    key = gateway.create_key(name)
    path, body = request_for(name)
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    headers = {"x-api-key": key.secret, "content-type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    assert answer.read() == data
    connection.close()
    expected_type = "application/json; charset=UTF-8" if is_array else "text/event-stream; charset=utf-8"
    assert answer.headers["content-type"] == expected_type

    [row] = gateway.settled_rows(key.id)
    assert (row["usage_source"], row["outcome"]) == ("provider", "completed")
    counts = EXPECTED[name.partition(".")[0]]
    micros = sum(round(RATES[kind] * 1000) * count for kind, count in counts.items() if kind != "per_search")
    assert row["charged_nanos"] == micros + counts.get("per_search", 0) * 10_000_000

    sent = replayer.requests[-1]
    assert b"\r\nx-api-key: fake-key\r\n" in sent or b"\r\nx-goog-api-key: fake-key\r\n" in sent
    assert key.secret.encode() not in sent
    assert (b"\r\nanthropic-version: 2023-06-01\r\n" in sent) == name.startswith("anthropic")
