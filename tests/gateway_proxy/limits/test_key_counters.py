"""One object per key: made and dropped as the counters in it come and go."""

from gateway_proxy.core.limiter import BucketRule, Meter
from gateway_proxy.limits.arithmetic import MINUTE_NS
from gateway_proxy.limits.budget import Account
from gateway_proxy.limits.key_counters import KeyCounters

RULE = BucketRule(60, 60)


def test_a_bucket_is_made_once_and_follows_its_rule():
    counters = KeyCounters()
    requests, tokens = counters.bucket(Meter.REQUESTS, RULE, 0), counters.bucket(Meter.TOKENS, RULE, 0)
    assert requests is not tokens and counters.requests is requests and counters.tokens is tokens
    assert counters.bucket(Meter.REQUESTS, BucketRule(60, 10), 0) is requests
    assert requests.available(0) == 10 and tokens.available(0) == 60


def test_the_sweep_leaves_what_is_not_full_and_says_when_nothing_is_left():
    counters = KeyCounters()
    assert counters.bucket(Meter.REQUESTS, RULE, 0).take(1, 0)
    assert counters.bucket(Meter.TOKENS, RULE, 0).take(60, 0)
    assert counters.sweep(MINUTE_NS // 2)
    assert counters.requests is None and counters.tokens is not None
    assert not counters.sweep(MINUTE_NS) and counters.tokens is None
    counters.slots = 1
    assert counters.sweep(MINUTE_NS)
    counters.slots, counters.account = 0, Account("key_a", [])
    assert counters.sweep(MINUTE_NS)


def test_more_slots_than_are_in_use_are_never_given_back():
    counters = KeyCounters()
    counters.slots = 3
    counters.free(2)
    assert counters.slots == 1
    counters.free(2)
    assert counters.slots == 0
