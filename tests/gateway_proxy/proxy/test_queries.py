"""What the gateway answers from memory."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway_proxy.core.usage import Price, Rates
from gateway_proxy.proxy.queries import can_call
from tests.support.exchanges import make_model, make_policy, make_target
from tests.support.in_process import serve
from tests.support.raw import make_request, send

TABLES = """
[[providers]]
name = "fake"
dialect = "openai"
base_url = "http://127.0.0.1:9/v1"
[[models]]
name = "chat"
targets = [{ provider = "fake", model = "m" }]
price = { input = 1, output = 2 }
[[models]]
name = "unpriced"
targets = [{ provider = "fake", model = "nobody-knows-it" }]
"""


@pytest.mark.parametrize(
    ("scope", "callable_"),
    [
        ({}, True),
        ({"allowed_models": ("m",)}, True),
        ({"allowed_models": ("x",)}, False),
        ({"allowed_providers": ("b",)}, False),
        ({"budget_nanos": 0}, True),
    ],
)
def test_listed_is_callable(scope: dict[str, object], callable_: bool) -> None:
    assert can_call(make_policy(**scope), make_model(make_target("a"))) is callable_


def test_a_price_matters_under_a_budget_alone() -> None:
    unpriced, free = make_model(make_target(price=None)), make_model(make_target(price=Price(Rates())))
    assert can_call(make_policy(), unpriced) and not can_call(make_policy(budget_nanos=5), unpriced)
    assert can_call(make_policy(budget_nanos=5), free)


async def test_over_the_wire(tmp_path: Path) -> None:
    async with serve(tmp_path, TABLES, budget_usd="2.50", requests_per_minute=9) as served:

        async def get(path: str) -> tuple[int, dict[str, object]]:
            data = make_request(served.secret, line=f"GET {path} HTTP/1.1".encode(), framing=b"", body=b"")
            answer = await asyncio.to_thread(send, served.port, data)
            return answer.status, json.loads(answer.body)

        listed = (await get("/v1/models"))[1]["data"]
        assert [model["id"] for model in listed] == ["chat"]  # type: ignore[attr-defined, union-attr]
        assert (await get("/v1/models/chat"))[1]["owned_by"] == "fake"
        assert [(await get(f"/v1/models/{name}"))[0] for name in ("unpriced", "nope", "%0d%0a", "%ff")] == [
            404
        ] * 4
        status, key = await get("/v1/key")
        assert status == 200 and served.secret not in str(key)
        assert key["budget"]["limit_usd"] == key["budget"]["remaining_usd"] == "2.50"  # type: ignore[index]
        assert key["limits"]["requests_per_minute"]["limit"] == 9  # type: ignore[index]
