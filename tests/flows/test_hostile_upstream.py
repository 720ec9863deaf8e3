"""A provider that attacks: endless heads, bombs, control bytes, broken chunks, redirects. The client gets a plain 502."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.client import Client, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway, provider_toml
from tests.support.money import model_toml

MEBIBYTE = 1 << 20
MAX_GROWTH_BYTES = 64 * MEBIBYTE


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, run_gateway: Callable[..., RunningGateway]) -> RunningGateway:
    timeouts = "connect = 2, first_byte = 5, between_bytes = 5"
    return run_gateway(
        provider_toml(provider.base_url, timeouts=timeouts) + model_toml(), server="drain_seconds = 1"
    )


@pytest.fixture(scope="module")
def key(gateway: RunningGateway) -> CreatedKey:
    return gateway.create_key("hostile")


@pytest.fixture(autouse=True)
def unharmed(gateway: RunningGateway) -> Iterator[None]:
    before = resident_bytes(gateway.pid)
    yield
    assert gateway.fetch("/healthz") == (200, {"status": "ok"})
    assert "Traceback" not in gateway.log_text()
    assert resident_bytes(gateway.pid) - before < MAX_GROWTH_BYTES


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "directive", ["endless_header megabytes=200", "gzip_bomb megabytes=200", "ctl_header", "reset after=0", "redirect to=http://127.0.0.1:9/"]
)  # fmt: skip
async def test_no_answer_worth_the_name(
    directive: str, stream: bool, gateway: RunningGateway, key: CreatedKey
) -> None:
    async with Client(gateway.origin, key.secret) as client:
        answer = await client.send(chat_body(f"mode={directive}", stream=stream))
    if "reset" in directive and stream:
        assert answer.status in (200, 502) and not answer.finished  # the head may have come before the reset
        return
    assert (answer.status, answer.code, answer.headers["x-gateway-error"]) == (
        502,
        "upstream_broken",
        "upstream_broken",
    )
    assert (
        "x-control" not in answer.headers
        and "location" not in answer.headers
        and "x-filler" not in answer.headers
    )
    assert b"127.0.0.1" not in answer.body


@pytest.mark.parametrize("include_usage", [False, True])
@pytest.mark.parametrize(
    "directive",
    ["bad_chunk after=2", "cut bytes=10", "reset after=2", "stream_error_after after=2"],
)
async def test_streams_that_break(
    directive: str, include_usage: bool, gateway: RunningGateway, key: CreatedKey
) -> None:
    body = chat_body(
        f"mode={directive} tokens=5 delay_ms=1", stream=True, stream_options={"include_usage": include_usage}
    )
    async with Client(gateway.origin, key.secret) as client:
        answer = await client.send(body)
    assert answer.status == 200 and answer.error == ""
    events = [event for event in answer.body.split(b"\n\n") if event]
    last = json.loads(events[-1].removeprefix(b"data: "))
    assert last["error"]["message"] and last["error"]["type"]
    if "error_after" not in directive:
        assert last["error"]["code"] == "upstream_broken"
    assert not answer.finished


@pytest.mark.parametrize("directive", ["bad_chunk after=2", "cut bytes=10", "wrong_length"])
async def test_whole_answers_that_break(directive: str, gateway: RunningGateway, key: CreatedKey) -> None:
    async with Client(gateway.origin, key.secret) as client:
        answer = await client.send(chat_body(f"mode={directive}"))
    assert (answer.status, answer.code) == (502, "upstream_broken")


async def test_a_huge_event_passes_and_memory_stays(gateway: RunningGateway, key: CreatedKey) -> None:
    before = resident_bytes(gateway.pid)
    async with Client(gateway.origin, key.secret) as client:
        answer = await client.send(chat_body(f"mode=huge_event bytes={32 * MEBIBYTE} tokens=2", stream=True))
    grown = resident_bytes(gateway.pid) - before
    assert grown < MAX_GROWTH_BYTES
    if answer.finished:
        assert len(answer.body) > 32 * MEBIBYTE
    else:
        assert b"upstream_broken" in answer.body[-1000:]


async def test_a_redirect_carries_nothing_elsewhere(
    gateway: RunningGateway, provider: FakeProvider, key: CreatedKey
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.settimeout(0.2)
        to = f"http://127.0.0.1:{canary.getsockname()[1]}/v1/chat/completions"
        async with Client(gateway.origin, key.secret) as client:
            answer = await client.send(chat_body(f"mode=redirect to={to}"))
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(canary.accept)
    assert answer.status == 502
    assert to.encode() not in answer.body and "location" not in answer.headers


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refused_provider_key_is_not_the_clients_fault(
    stream: bool, run_gateway: Callable[..., RunningGateway], provider: FakeProvider
) -> None:
    gateway = run_gateway(
        provider_toml(provider.base_url) + model_toml(), provider_key="wrong-provider-key-7c1d"
    )
    async with Client(gateway.origin, gateway.create_key().secret) as client:
        answer = await client.send(chat_body(stream=stream))
    assert (answer.status, answer.code) == (502, "upstream_auth_failed")
    assert b"7c1d" not in answer.body and b"Incorrect" not in answer.body
    assert "7c1d" not in gateway.log_text()
