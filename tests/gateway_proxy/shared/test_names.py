"""Keys on the server, and names of leases."""

from gateway_proxy.core.limiter import Claim, Meter, SlotsRule
from gateway_proxy.shared.names import Names, split_lease


def test_all_of_one_root_key_carries_one_tag_and_the_epoch() -> None:
    names = Names("e7")
    every = [
        names.entries("key_a"), names.budget("key_a", "tok_b"), names.slots("key_a", "key_a"),
        *(names.counter("key_a", Claim("key_a", meter, SlotsRule(1), 1)) for meter in (Meter.REQUESTS, Meter.TOKENS)),
    ]  # fmt: skip
    assert len(set(every)) == len(every)
    assert all("{key_a}" in name and ":e7:" in name and Names.root_of(name) == "key_a" for name in every)
    assert names.counter("key_a", Claim("key_a", Meter.PARALLEL, SlotsRule(1), 1)) == every[2]
    assert names.budget("key_a", "tok_b") == names.budgets("key_a") + "tok_b"


def test_the_name_of_a_lease_says_which_row_pays_for_it() -> None:
    assert split_lease("gtw_1/0.ab~req_x~2") == ("gtw_1/0.ab", "req_x", 2)
    assert split_lease("gtw_1/0.ab~-7") is None
