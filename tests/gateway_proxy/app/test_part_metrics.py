"""One page out of the metrics of several processes: counts are added, what wants attention wins."""

from gateway_proxy.app.part_metrics import keep_counted, merge
from gateway_proxy.telemetry.exposition import Histogram


def histogram(*values: int) -> Histogram:
    made = Histogram((10, 100))
    for value in values:
        made.observe(value)
    return made


def test_counts_and_shares_are_added_up() -> None:
    one = {
        "gateway_proxy_refusals_total": {("a",): 1, ("b",): 2},
        "gateway_proxy_requests_in_flight": {(): 3},
    }
    other = {"gateway_proxy_refusals_total": {("a",): 10}, "gateway_proxy_requests_in_flight": {(): 4}}
    assert merge([one, other]) == {
        "gateway_proxy_refusals_total": {("a",): 11, ("b",): 2},
        "gateway_proxy_requests_in_flight": {(): 7},
    }


def test_money_keeps_every_digit() -> None:
    name = "gateway_proxy_cost_usd_total"
    one, other = {name: {("p", "m"): "0.000000001"}}, {name: {("p", "m"): "123456789.123456789"}}
    assert merge([one, other]) == {name: {("p", "m"): "123456789.123456790"}}


def test_histograms_are_added_up_and_stay_as_they_were() -> None:
    name = "gateway_proxy_event_loop_lag_seconds"
    one, other = histogram(5, 50), histogram(500)
    total = merge([{name: {(): one}}, {name: {(): other}}])[name][()]
    assert isinstance(total, Histogram)
    assert (total.counts, total.sum) == ([1, 1, 1], 555)
    assert one.counts == [1, 1, 0]


def test_the_worse_and_the_newest_stand_for_all() -> None:
    def merged(name: str, *values: float) -> object:
        return merge([{name: {(): value}} for value in values])[name][()]

    assert merged("gateway_proxy_ready", 1, 0) == 0
    assert merged("gateway_proxy_config_revision", 3, 2) == 2
    assert merged("gateway_proxy_store_lag_seconds", 0.1, 7.5) == 7.5
    assert merged("gateway_proxy_keys", 12, 12) == 12


def test_of_the_dead_only_what_was_counted_remains() -> None:
    part = {"gateway_proxy_refusals_total": {("a",): 1}, "gateway_proxy_keys": {(): 5}}
    assert keep_counted(part) == {"gateway_proxy_refusals_total": {("a",): 1}}
