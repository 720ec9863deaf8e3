"""Claims on the key's buckets: one request, the tokens to expect, one slot."""

from typing import ClassVar

from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.limiter import Meter, make_claim

_TOKENS = Meter.TOKENS
FIRST_EXPECTED_OUTPUT_TOKENS = 1024
BYTES_PER_TOKEN = 4
MAX_LEARNED_MODELS = 4096


class LearnedOutput:
    """How many output tokens a model's answers have had lately, per model name; an exponential mean."""

    def __init__(self) -> None:
        self._mean: dict[str, float] = {}

    def expect(self, model: str) -> int:
        return round(self._mean.get(model, FIRST_EXPECTED_OUTPUT_TOKENS))

    def learn(self, model: str, output_tokens: int) -> None:
        mean = self._mean.get(model)
        if mean is None:
            if len(self._mean) >= MAX_LEARNED_MODELS:
                self._mean.pop(next(iter(self._mean)))
            mean = float(FIRST_EXPECTED_OUTPUT_TOKENS)
        self._mean[model] = mean + (output_tokens - mean) * 0.1


class Rate:
    name: ClassVar[str] = "rate"
    rules: ClassVar[tuple[str, ...]] = ()  # what does not fit is refused by admission
    needs_body: ClassVar[bool] = True

    def __init__(self, learned: LearnedOutput) -> None:
        self._learned = learned

    def check(self, exchange: Exchange) -> None:
        policy, route, model = exchange.policy, exchange.route, exchange.model
        assert policy is not None and route is not None and model is not None
        exchange.claims.extend(policy.request_claims)
        rules = policy.tokens_rules
        if not rules or route.free:
            return
        tokens = route.body_bytes // BYTES_PER_TOKEN
        if route.wants_output_cap:
            each = route.max_output_tokens
            tokens += route.choices * (self._learned.expect(model.name) if each is None else each)
        tokens = exchange.expected_tokens = tokens or 1
        for key_id, rule in rules:
            exchange.claims.append(make_claim(key_id, _TOKENS, rule, tokens))
