"""What a request claims of its key's buckets before anybody knows what it will use."""

from gateway_proxy.core.limiter import Meter
from gateway_proxy.stages.rate import FIRST_EXPECTED_OUTPUT_TOKENS, MAX_LEARNED_MODELS, LearnedOutput, Rate
from tests.support.exchanges import make_exchange, make_model, make_policy, make_route


def tokens_claimed(learned: LearnedOutput, **route: object) -> int:
    exchange = make_exchange(make_policy(tokens_per_minute=10**6), make_model(), make_route(**route))
    Rate(learned).check(exchange)
    claim = exchange.claims[-1]
    assert claim.meter is Meter.TOKENS and claim.amount == exchange.expected_tokens
    return claim.amount


def test_no_limits_no_claims() -> None:
    exchange = make_exchange(make_policy(), make_model(), make_route())
    Rate(LearnedOutput()).check(exchange)
    assert exchange.claims == []


def test_tokens_are_the_input_estimate_and_the_maximum() -> None:
    assert tokens_claimed(LearnedOutput()) == 400 // 4 + 50
    assert tokens_claimed(LearnedOutput(), choices=3) == 100 + 150
    assert tokens_claimed(LearnedOutput(), wants_output_cap=False) == 100
    assert tokens_claimed(LearnedOutput(), wants_output_cap=False, body_bytes=0) == 1


def test_without_a_maximum_what_the_model_usually_makes() -> None:
    learned = LearnedOutput()
    assert tokens_claimed(learned, max_output_tokens=None) == 100 + FIRST_EXPECTED_OUTPUT_TOKENS
    for _ in range(200):
        learned.learn("m", 10)
    assert tokens_claimed(learned, max_output_tokens=None) == 110


def test_memory_for_models_is_bounded() -> None:
    learned = LearnedOutput()
    for number in range(MAX_LEARNED_MODELS + 10):
        learned.learn(f"m{number}", 5)
    assert len(learned._mean) == MAX_LEARNED_MODELS
