"""A shadowed key against a running gateway: nothing is refused, the log and explain tell what would be, then it is."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import Client, chat_body
from tests.support.command_line import command, create, keys
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.money import model_toml


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, run_gateway: Callable[..., RunningGateway]) -> RunningGateway:
    return run_gateway(provider_toml(provider.base_url) + model_toml("chat"))


def remote(gateway: RunningGateway, token: str, *arguments: str) -> Any:
    printed = command(*arguments, "--url", gateway.admin_url, "--token", token, "--json")
    assert printed.code == 0, printed.err
    return json.loads(printed.out)


async def logged(gateway: RunningGateway, token: str, request_id: str) -> Any:
    for _ in range(100):
        status, row = await asyncio.to_thread(gateway.fetch, f"/api/v1/logs/{request_id}", secret=token)
        if status == 200:
            return row
        await asyncio.sleep(0.05)
    raise AssertionError(f"{request_id} is not in the log")


async def test_noted_passed_counted_and_then_enforced(gateway: RunningGateway) -> None:
    token = gateway.admin_token()
    key = create(
        gateway, "--shadow", "--models", "chat", "--budget-usd", "0.0001", "--rpm", "1000", "--alerts", "50"
    )  # fmt: skip
    body = chat_body("tokens=40", max_tokens=40)
    async with Client(gateway.origin, key.secret) as client:
        answers = [await client.send(body) for _ in range(3)]
        assert [answer.status for answer in answers] == [200] * 3, answers
        assert "x-gateway-budget-limit-usd" not in answers[0].headers
        row = await logged(gateway, token, answers[-1].request_id)
        assert (row["status"], row["error_code"], row["would_deny"]) == (200, "", "insufficient_quota")
        assert [v["rule"] for v in row["verdicts"] if v["verdict"] == "deny"] == ["budget"]
        found = remote(gateway, token, "logs", "--would-deny", "any")["data"]
        assert {r["request_id"] for r in found} >= {answers[-1].request_id}
        charged = [attempt["charged_nanos"] for attempt in gateway.settled_rows(key.id)]
        assert len(charged) == 3 and sum(charged) > 100_000
        assert {event["type"] for event in gateway.events() if event["key_id"] == key.id} == {
            "budget.threshold", "budget.exceeded",
        }  # fmt: skip

        question = ("keys", "explain", key.id, "--model", "chat")
        told = remote(gateway, token, *question)
        assert told["allowed"] is True
        assert [v["code"] for v in told["verdicts"] if v["verdict"] == "deny"] == ["insufficient_quota"]
        status, token_made = gateway.fetch(
            "/v1/key/ephemeral", secret=key.secret, body={"allowed_endpoints": ["chat"]}
        )
        assert status == 201, token_made
        of_token = ("keys", "explain", token_made["id"], "--model", "chat")
        assert [v["code"] for v in remote(gateway, token, *of_token)["verdicts"] if v["code"]] == [
            "insufficient_quota"
        ]
        async with Client(gateway.origin, token_made["token"]) as holder:
            passed = await holder.send(body)
        assert passed.status == 200
        assert (await logged(gateway, token, passed.request_id))["would_deny"] == "insufficient_quota"
        outside = keys(gateway, *of_token[1:], "--endpoint", "embeddings")
        assert [v["code"] for v in outside["verdicts"] if v["code"]] == [
            "endpoint_not_allowed", "insufficient_quota",
        ]  # fmt: skip

        keys(gateway, "update", key.id, "--no-shadow")
        refused = await client.send(body)
        assert (refused.status, refused.code) == (429, "insufficient_quota")
        told = remote(gateway, token, *question)
        assert told["allowed"] is False
        here = keys(gateway, *question[1:])
        assert [v["verdict"] for v in here["verdicts"]] == [v["verdict"] for v in told["verdicts"]]
