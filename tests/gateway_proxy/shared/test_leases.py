"""What a process holds, until it is in the ledger and the server has heard so."""

from gateway_proxy.shared.leases import Held, Leases, SharedLease


def make(leases: Leases, name: str = "p~req~1") -> SharedLease:
    lease = SharedLease((), 5, "", True, True, name, "root", ("key",), {"key": 7}, {"key": "total"})
    leases.held[name] = Held("root", 5, dict(lease.money))
    return lease


def test_it_stays_until_it_is_told_and_in_the_ledger_in_either_order() -> None:
    for booked_first in (True, False):
        leases = Leases()
        lease = make(leases)
        leases.settle(lease, 3, ["parent"])
        assert leases.held[lease.name].describe() == "5;3;key=7,parent=0"
        steps = [leases.book, leases.confirm]
        for step in steps if booked_first else reversed(steps):
            assert lease.name in leases.held
            step(lease.name)
        assert leases.held == {} and leases.leaving == {lease.name: "root"}


def test_a_charge_of_nothing_needs_no_row() -> None:
    leases = Leases()
    lease = make(leases)
    leases.settle(lease, 0, ())
    leases.confirm(lease.name)
    assert leases.leaving == {lease.name: "root"}


def test_an_open_lease_is_not_done_however_often_it_is_told() -> None:
    leases = Leases()
    lease = make(leases)
    leases.confirm(lease.name)
    leases.settle(lease, 4, ())
    leases.book(lease.name)
    assert lease.name in leases.held  # the charge itself was not confirmed


def test_a_row_without_a_lease_is_noticed() -> None:
    assert not Leases().book("p~req~9")


def test_all_of_a_root_is_handed_over_together() -> None:
    leases = Leases()
    make(leases)
    leases.slots["p~req~1"] = ("root", ("key", "parent"))
    leases.slots["p~other~1"] = ("root", ("key",))
    found = list(leases.by_root())
    assert found == [
        ("root", {"p~req~1": "5;-;key=7"}, {"key": ["p~req~1", "p~other~1"], "parent": ["p~req~1"]})
    ]
