"""Explain says what real requests are told: the same verdict and code, and nothing is taken."""

import ipaddress
import os
import random
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.app.offline import make_idle_services
from gateway_proxy.app.runtimes import build_stages, make_dialects
from gateway_proxy.config import load_config
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.errors import Denied, GatewayError
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.key import BudgetPeriod, Key, McpMode, McpScope
from gateway_proxy.core.limiter import Meter
from gateway_proxy.core.policy import KeyPolicy, TokenPolicy, compile_policy
from gateway_proxy.explain import ENDPOINTS, Question, Trial, explain
from gateway_proxy.limits.memory import MemoryLimiter
from gateway_proxy.pipeline import Pipeline
from gateway_proxy.pricing.book import PriceBook
from gateway_proxy.routing.catalog import build_catalog

CASES = int(os.environ.get("EXPLAIN_CASES", "2000"))
MODELS = ("fast", "two", "dear", "unpriced", "endless", "claude", "nobody", "local/x", "fast-2")
SETTINGS = """
[[providers]]
name = "one"
dialect = "openai"
base_url = "http://127.0.0.1:9/v1"
models = ["unpriced"]
[[providers]]
name = "local"
dialect = "openai"
base_url = "http://127.0.0.1:9/v1"
[[providers]]
name = "ant"
dialect = "anthropic"
base_url = "http://127.0.0.1:9"
"""
MODEL = '[[models]]\nname = "{}"\ntargets = [{}]\nmax_output_tokens = 4096\nmax_input_tokens = 8192\n'
TARGET = '{{ provider = "{}", model = "m" }}'
PRICE = "price = {{ input = {}, output = {} }}\n"


def settings() -> str:
    text = SETTINGS
    for name, providers, price in (
        ("fast", ("one",), (1, 2)), ("two", ("one", "local"), (2, 4)), ("dear", ("local",), (900, 900)),
        ("claude", ("ant",), (3, 15)), ("fast-2", ("one", "ant"), (0, 0)),
    ):  # fmt: skip
        text += MODEL.format(name, ", ".join(TARGET.format(p) for p in providers)) + PRICE.format(*price)
    return text + f'[[models]]\nname = "endless"\ntargets = [{TARGET.format("one")}]\n' + PRICE.format(1, 1)


class Gateway:
    """Stages as the gateway builds them, over counters of their own."""

    def __init__(self, folder: Path, *, hide: bool = False) -> None:
        path = folder / "config.toml"
        path.write_text(settings() + f"[security]\nhide_forbidden_models = {str(hide).lower()}\n")
        config = load_config(path)
        self.clock = FakeClock()
        self.limiter = MemoryLimiter(self.clock)
        self.policies: dict[str, KeyPolicy] = {}
        self.books_open = True
        services = make_idle_services(self.clock, self.limiter)
        services.find_key = lambda secret, now: self.policies.get(secret)
        services.books_open = lambda: self.books_open
        catalog = build_catalog(config, PriceBook.load(self.clock.now_ms()))
        self.stages = build_stages(config, services, make_dialects(), catalog.resolve)
        self.pipeline = Pipeline(self.stages)

    def add(self, *, loaded: bool = True, spent: int = 0, **members: Any) -> KeyPolicy:
        key = Key(
            **{"id": f"key_{len(self.policies)}", "name": "a", "organization": "default", "owner": "local"}
            | members
        )
        if loaded:
            for job in self.limiter.begin_rebuilds([key]):
                self.limiter.finish_rebuild(job, spent)
        policy = self.policies[key.id] = compile_policy(key)
        return policy

    def explain(self, policy: KeyPolicy, question: Question) -> dict[str, Any]:
        return explain(self.stages, self.limiter, policy, question, self.clock.now_ms())

    def add_token(self, parent: KeyPolicy, **members: Any) -> KeyPolicy:
        """An ephemeral token of the key, with limits of its own; it always expires."""
        members["expires_at"] = members.get("expires_at") or self.clock.now_ms() + 10**9
        token = self.add(**members | {"kind": "ephemeral", "parent_id": parent.key.id, "shadow": False})
        policy = self.policies[token.key.id] = TokenPolicy(token.key, parent)
        return policy

    def send(self, policy: KeyPolicy, question: Question) -> Exchange:
        """The real request of the question. Raises GatewayError."""
        sample = Trial(policy, question, self.clock.now_ms())
        exchange = Exchange(
            "req_1", "POST", sample.path, sample.operation, {}, question.client_ip, self.clock.now_ms(), 0, sample.dialect
        )  # fmt: skip
        exchange.secret, exchange.body, exchange.content_type = (
            policy.key.id,
            sample.body,
            sample.content_type,
        )
        self.pipeline.check_head(exchange)
        self.pipeline.check_body(exchange)
        return exchange

    def counted(self, policy: KeyPolicy) -> Any:
        limiter = self.limiter
        states = [
            limiter.bucket_state(key_id, meter, rule)
            for rules in (policy, policy.shadow or policy)
            for meter, every in ((Meter.REQUESTS, rules.requests_rules), (Meter.TOKENS, rules.tokens_rules))
            for key_id, rule in every
        ]
        slots = [limiter.slots_used(key_id) for key_id in policy.key_ids]
        return states, slots, {k: vars_of(c.account) for k, c in limiter._keys.items() if c.account}


def vars_of(account: Any) -> Any:
    spend = account.track and account.track.current
    return spend and (spend.spent, spend.reserved, spend.fired)


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


def random_key(draw: random.Random, now_ms: int) -> dict[str, Any]:
    def maybe(chance: float, *values: Any) -> Any:
        return draw.choice(values) if draw.random() < chance else None

    limit = maybe(0.4, 0, 1_000, 40_000, 5_000_000, 10**9)
    return {
        "inactive": draw.random() < 0.05,
        "expires_at": maybe(0.2, now_ms - 1, now_ms + 10**9),
        "revoked_at": maybe(0.05, now_ms),
        "requests_per_minute": maybe(0.4, 0, 1, 2, 60),
        "tokens_per_minute": maybe(0.4, 0, 500, 2_000, 10**6),
        "burst": maybe(0.2, 0, 1, 5),
        "max_parallel_requests": maybe(0.3, 0, 1, 3),
        "budget_nanos": limit,
        "budget_period": draw.choice(list(BudgetPeriod)),
        "alert_thresholds": (50, 100),
        "allowed_providers": maybe(0.4, (), ("one",), ("one", "local"), ("ant", "other")),
        "allowed_models": maybe(0.4, (), ("fast", "two"), ("fast*", "claude"), ("*",), ("nobody",)),
        "allowed_endpoints": maybe(0.3, (), ("chat",), ("chat", "embeddings", "messages")),
        "ip_allowlist": maybe(0.4, (), ("10.0.0.0/8",), ("192.0.2.1/32", "2001:db8::/32")),
        "shadow": draw.random() < 0.2,
        "loaded": draw.random() < 0.9,
        "spent": draw.choice((0, limit or 0)),
    }


def random_question(draw: random.Random) -> Question:
    # Without an address explain leaves the network out.
    address = draw.choice(("10.1.2.3", "192.0.2.1", "198.51.100.7", "2001:db8::1"))
    endpoint = draw.choice(("chat", "chat", *ENDPOINTS))
    return Question(model=draw.choice(MODELS), endpoint=endpoint, client_ip=ipaddress.ip_address(address))


def compare(gateway: Gateway, draw: random.Random, cases: int) -> set[str]:
    """Explain and then do; returns the codes that were met."""
    met = set()
    policies: list[KeyPolicy] = []
    for _ in range(cases):
        if not policies or draw.random() < 0.3:
            members = random_key(draw, gateway.clock.now_ms())
            parents = [policy for policy in policies[-5:] if policy.parent is None]
            is_token = bool(parents) and draw.random() < 0.3
            made = gateway.add_token(parents[-1], **members) if is_token else gateway.add(**members)
            policies.append(made)
        policy, question = draw.choice(policies[-5:]), random_question(draw)
        gateway.books_open = draw.random() < 0.95
        gateway.clock.advance(draw.choice((0, 0.1, 5)))
        before = gateway.counted(policy)
        told = gateway.explain(policy, question)
        assert gateway.counted(policy) == before
        denied = [(v["code"], "shadowed" in v["detail"]) for v in told["verdicts"] if v["verdict"] == "deny"]
        enforced = next((code for code, is_shadowed in denied if not is_shadowed), "")
        shadowed = next((code for code, is_shadowed in denied if is_shadowed), "")
        try:
            exchange = gateway.send(policy, question)
        except GatewayError as refusal:
            assert isinstance(refusal, Denied) or refusal.code in (
                "dialect_not_served",
                "budget_unverifiable",
            )
            assert (told["allowed"], enforced) == (False, refusal.code), told
            met.add(f"token {refusal.code}" if policy.parent else refusal.code)
            continue
        assert (told["allowed"], enforced, shadowed) == (True, "", exchange.would_deny), told
        met.add(f"would {shadowed}" if shadowed else "")
        assert exchange.lease is not None
        if draw.random() < 0.7:
            gateway.limiter.settle_nanos(exchange.lease, draw.choice((0, 700)))
            gateway.limiter.release(exchange.lease, None)
    return met


@pytest.mark.slow
def test_equals_what_real_requests_are_told(tmp_path: Path) -> None:
    met = set()
    for hide in (False, True):
        met |= compare(Gateway(tmp_path, hide=hide), random.Random(hide), CASES // 2)
    assert met >= {
        "", "key_expired", "key_inactive", "key_revoked", "ip_not_allowed", "model_not_found", "endpoint_not_allowed",
        "provider_not_allowed", "dialect_not_served", "model_unpriced", "budget_unverifiable", "rate_limit_exceeded",
        "insufficient_quota", "token key_revoked", "token insufficient_quota", "would ip_not_allowed", "would insufficient_quota", "would rate_limit_exceeded",
    }  # fmt: skip


class Rule:
    """A plugin's stage, as the pipeline holds it."""

    name, needs_body = "plugin", True

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def check(self, exchange: Exchange) -> None:
        assert exchange.is_trial
        if self._error is not None:
            raise self._error


class Waits(Rule):
    async def check(self, exchange: Exchange) -> None:  # type: ignore[override]
        raise AssertionError("only real requests wait")


@pytest.mark.parametrize(
    ("stage", "verdict", "code"),
    [
        (Rule(), "allow", ""),
        (Rule(Denied("no", code="outside_hours")), "deny", "outside_hours"),
        (Rule(KeyError("x")), "deny", "internal_error"),
        (Waits(), "skip", ""),
    ],
)
def test_plugins_are_rules_too(gateway: Gateway, stage: Rule, verdict: str, code: str) -> None:
    gateway.stages.insert(3, stage)
    told = gateway.explain(gateway.add(), Question(model="fast"))
    found = next(v for v in told["verdicts"] if v["rule"] == "plugin")
    assert (found["verdict"], found["code"]) == (verdict, code)
    assert told["allowed"] is (verdict != "deny")


def verdicts(told: dict[str, Any]) -> dict[str, str]:
    return {v["rule"]: f"{v['verdict']} {v['code']}".strip() for v in told["verdicts"]}


def test_rules_behind_a_refusal_are_judged_as_far_as_they_can_be(gateway: Gateway) -> None:
    policy = gateway.add(
        inactive=True, ip_allowlist=("10.0.0.0/8",), allowed_endpoints=(), allowed_models=("m",), requests_per_minute=0,
        budget_nanos=10**9, mcp=McpScope(True, McpMode.DENY_ALL),
    )  # fmt: skip
    told = verdicts(gateway.explain(policy, Question(model="nobody", mcp_tool="github/search")))
    assert told == {
        "status": "deny key_inactive", "network": "skip", "route": "deny model_not_found",
        "endpoint": "deny endpoint_not_allowed", "model": "deny model_not_found", "provider": "skip", "price": "skip",
        "rate": "deny rate_limit_exceeded", "budget": "skip", "mcp": "deny mcp_disabled",
    }  # fmt: skip


def test_only_the_provider_that_is_asked_for(gateway: Gateway) -> None:
    policy = gateway.add(allowed_providers=("one",))
    assert verdicts(gateway.explain(policy, Question(model="two")))["provider"] == "allow"
    at_local = verdicts(gateway.explain(policy, Question(model="two", provider="local")))
    assert at_local["provider"] == "deny provider_not_allowed"
    nowhere = verdicts(gateway.explain(policy, Question(model="fast", provider="local")))
    assert (nowhere["route"], nowhere["provider"]) == ("deny model_not_found", "skip")


def test_what_passes_says_why(gateway: Gateway) -> None:
    policy = gateway.add(requests_per_minute=5, budget_nanos=10**9, expires_at=2_000_000_000_000)
    told = gateway.explain(policy, Question(model="fast"))
    details = {v["rule"]: v["detail"] for v in told["verdicts"]}
    assert "2033-05-18" in details["status"] and "5 requests" in details["rate"]
    assert details["budget"].endswith("$1.00 of $1.00 left.") and details["provider"] == "It may go to one."


def test_what_has_no_price_names_its_provider_still(gateway: Gateway) -> None:
    policy = gateway.add(budget_nanos=10**9)
    details = {
        v["rule"]: v["detail"] for v in gateway.explain(policy, Question(model="unpriced"))["verdicts"]
    }
    assert details["provider"] == "It may go to one." and "no price" in details["price"]


def test_a_question_survives_the_line() -> None:
    for question in (
        Question(model="m"),
        Question(model="m", client_ip=ipaddress.ip_address("::1"), mcp_tool="a/b"),
    ):
        assert Question.from_json(question.to_json()) == question


def test_a_token_of_a_shadowed_key_is_held_to_its_own_rules(gateway: Gateway) -> None:
    parent = gateway.add(shadow=True, allowed_models=("two",), budget_nanos=10)
    token = gateway.add_token(parent, allowed_endpoints=("chat",))
    told = gateway.explain(token, Question(model="fast"))
    assert told["allowed"] and gateway.send(token, Question(model="fast")).would_deny == "model_not_found"
    assert [v["rule"] for v in told["verdicts"] if v["verdict"] == "deny"] == ["model", "budget"]
    refused = gateway.explain(token, Question(model="fast", endpoint="embeddings"))
    assert not refused["allowed"] and verdicts(refused)["endpoint"] == "deny endpoint_not_allowed"
