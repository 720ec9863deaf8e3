"""What refusals tell."""

from gateway_proxy.core.key import BudgetPeriod
from gateway_proxy.core.limiter import BucketRule, BudgetRule, Claim, Meter, SlotsRule
from gateway_proxy.limits.arithmetic import Bucket
from gateway_proxy.limits.budget import Spend
from gateway_proxy.limits.periods import TOTAL, Window
from gateway_proxy.limits.refusals import SLOT_RETRY_MS, refuse_bucket, refuse_budget, refuse_slots


def test_slots_that_are_never_enough_invite_no_retry() -> None:
    def claim(amount: int) -> Claim:
        return Claim("k", Meter.PARALLEL, SlotsRule(2), amount)

    assert (refuse_slots(claim(1), 2).available, refuse_slots(claim(1), 2).retry_after_ms) == (
        0,
        SLOT_RETRY_MS,
    )
    assert refuse_slots(claim(3), 0).retry_after_ms is None


def test_a_bucket_tells_when_it_will_have_enough() -> None:
    rule = BucketRule(60, 10)
    bucket = Bucket(rule, 0)
    bucket.take(10, 0)
    refused = refuse_bucket(Claim("k", Meter.REQUESTS, rule, 2), bucket, 0)
    assert (refused.available, refused.retry_after_ms) == (0, 2000)


def test_a_budget_tells_how_it_stands_and_notices_what_it_could_have_paid() -> None:
    spend = Spend(Window("day", 0, 5000))
    spend.spent, spend.reserved = 60, 30
    rule = BudgetRule(100, BudgetPeriod.DAY, "UTC")
    noticed: list[Spend] = []

    def notice(spend: Spend) -> bool:
        noticed.append(spend)
        return True

    refused = refuse_budget(Claim("k", Meter.NANOS, rule, 20), spend, 1000, notice)
    assert (refused.available, refused.retry_after_ms, refused.first_refusal) == (10, 4000, True)
    assert refused.budget is not None and refused.budget.remaining_nanos == 10
    never = refuse_budget(Claim("k", Meter.NANOS, rule, 101), spend, 1000, notice)
    assert (never.retry_after_ms, never.first_refusal) == (None, False) and noticed == [spend]
    quiet = refuse_budget(Claim("k", Meter.NANOS, rule, 20), Spend(TOTAL), 1000, None)
    assert (quiet.retry_after_ms, quiet.first_refusal) == (None, False)
