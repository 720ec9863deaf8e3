"""What the admin side is told about the running gateway: revision, health, models with prices, a key's counters."""

from pathlib import Path

import pytest

from gateway_proxy.app.inside import Inside, SettingsView, describe_price
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.usage import Price, Rates
from gateway_proxy.explain import Question
from tests.support.gateway import provider_toml
from tests.support.in_process import Served, serve

TABLES = provider_toml("http://127.0.0.1:1/v1", extra='models = ["listed"]') + (
    '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\n'
    "price = { input = 1, output = 2, per_request = 0.01 }\n"
)


def view_of(served: Served) -> SettingsView:
    return SettingsView(Inside(served.gateway).ask, served.gateway.config, Clock())


async def test_the_settings_in_force(tmp_path: Path) -> None:
    async with serve(tmp_path, TABLES) as served:
        told = await view_of(served).config()
        assert told["revision"] == 1 and told["digest"] == served.gateway.config.digest
        assert told["source"] == str(tmp_path / "config.toml") and told["reload_error"] is None
        assert told["settings"]["providers"][0]["api_key"] == "***"
        assert "fake-key" not in str(told)
        served.gateway.reload_error = "line 3: no"
        assert (await view_of(served).config())["reload_error"] == "line 3: no"


async def test_providers_with_their_health(tmp_path: Path) -> None:
    async with serve(tmp_path, TABLES) as served:
        view = view_of(served)
        provider = {"name": "fake", "dialect": "openai", "base_url": "http://127.0.0.1:1/v1", "health": "up",
                    "models": ["fake-large", "listed"]}  # fmt: skip
        assert await view.providers() == [provider]
        for _ in range(5):
            served.gateway.services.breakers.fail(("fake", "fake-large"))
        assert (await view.providers())[0]["health"] == "down"


async def test_models_with_their_prices(tmp_path: Path) -> None:
    async with serve(tmp_path, TABLES) as served:
        models = {model["name"]: model for model in await view_of(served).models()}
        assert models["chat"] == {
            "name": "chat",
            "declared": True,
            "targets": [{"provider": "fake", "model": "fake-large"}],
            "price": {"input": "1.00", "output": "2.00", "cached_input": "1.00", "cache_write": "1.00",
                      "cache_write_1h": "1.00", "audio_input": "1.00", "reasoning": "2.00", "audio_output": "2.00",
                      "per_request": "0.01"},
            "price_source": "config",
        }  # fmt: skip
        assert models["listed"]["price"] is None and not models["listed"]["declared"]


async def test_counters_are_looked_at_and_not_touched(tmp_path: Path) -> None:
    limits = {"requests_per_minute": 10, "max_parallel_requests": 3, "budget_usd": "5"}
    async with serve(tmp_path, TABLES, **limits) as served:
        (key_id,) = served.gateway.directory._entries
        view = view_of(served)
        before = served.gateway.limiter.counters()
        told = await view.counters(key_id)
        assert told["requests"] == {"limit": 10, "remaining": 10, "reset_ms": 0}
        assert told["tokens"] is None
        assert told["parallel"] == {"limit": 3, "used": 0}
        assert told["budget"]["limit_usd"] == told["budget"]["remaining_usd"] == "5.00"
        assert served.gateway.limiter.counters() == before
        unknown = await view.counters("key_unknown")
        assert unknown == {"requests": None, "tokens": None, "parallel": None, "budget": None}


def test_only_its_own_questions_are_answered() -> None:
    with pytest.raises(KeyError):
        Inside(None).answer("secrets")  # type: ignore[arg-type]


def test_what_costs_nothing_is_left_out() -> None:
    assert describe_price(Price(Rates())) == {"input": "0.00", "output": "0.00"}
    assert describe_price(Price(Rates(images=40_000_000 * 1_000_000))) == {
        "input": "0.00",
        "output": "0.00",
        "per_image": "0.04",
    }


async def test_explain_uses_the_live_counters_and_leaves_them(tmp_path: Path) -> None:
    async with serve(tmp_path, TABLES, requests_per_minute=1, budget_usd="5", shadow=True) as served:
        gateway = served.gateway
        (key_id,) = gateway.directory._entries
        view, question = view_of(served), Question(model="chat").to_json()
        told = await view.explain(key_id, question)
        assert told["allowed"] and not [v for v in told["verdicts"] if v["verdict"] == "deny"]
        policy = gateway.directory.policy(key_id)
        assert policy is not None and policy.shadow is not None
        gateway.limiter.acquire(policy.shadow.request_claims)
        told = await view.explain(key_id, question)
        assert told["allowed"] and [v["code"] for v in told["verdicts"] if v["verdict"] == "deny"] == [
            "rate_limit_exceeded"
        ]
        assert (await view.counters(key_id))["requests"]["remaining"] == 0
        assert (await view.explain("key_unknown", question))["allowed"] is False
