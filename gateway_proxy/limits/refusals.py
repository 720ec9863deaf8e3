"""What is told of a claim that does not fit, by counters as they stand. Nothing is counted here."""

from collections.abc import Callable
from typing import Any

from gateway_proxy.core.limiter import BudgetState, Claim, LimitExceeded
from gateway_proxy.limits.arithmetic import Bucket
from gateway_proxy.limits.budget import Spend

# When a slot comes free nobody can know; this is what a refused client is told to wait.
SLOT_RETRY_MS = 1000
# A fraction of the cost of a named tuple's own constructor: states are made for every answer.
_new_tuple = tuple.__new__


def refuse_slots(claim: Claim, used: int) -> LimitExceeded:
    rule: Any = claim.rule
    wait = SLOT_RETRY_MS if claim.amount <= rule.limit else None
    return LimitExceeded(claim, available=rule.limit - used, retry_after_ms=wait)


def refuse_bucket(claim: Claim, bucket: Bucket, now_ns: int) -> LimitExceeded:
    return LimitExceeded(
        claim,
        available=bucket.available(now_ns),
        retry_after_ms=bucket.retry_after_ms(claim.amount, now_ns),
    )


def refuse_budget(
    claim: Claim, spend: Spend, now_ms: int, notice: Callable[[Spend], bool] | None
) -> LimitExceeded:
    """`notice` hears of a refusal of what the whole budget could have paid, and says whether it is the period's first."""
    rule: Any = claim.rule
    limit = rule.limit_nanos
    payable = claim.amount <= limit
    return LimitExceeded(
        claim,
        available=limit - spend.spent - spend.reserved,
        retry_after_ms=spend.resets_at - now_ms if payable and spend.resets_at is not None else None,
        budget=describe_budget(spend, limit),
        first_refusal=payable and notice is not None and notice(spend),
    )


def describe_budget(spend: Spend, limit_nanos: int) -> BudgetState:
    """As clients are told."""
    return _new_tuple(BudgetState, (limit_nanos, spend.spent, spend.reserved, spend.resets_at, spend.label))
