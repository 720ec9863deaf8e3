"""Ids lead back to the provider that made them, for the key that had them made, and for nobody else."""

import pytest

from gateway_proxy.core.errors import BadExchange, Forbidden, NotRemembered
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.kept import Kept, MadeId, Reference
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.routing.made_ids import MadeIds
from gateway_proxy.stages.kept import Keeping
from tests.support.exchanges import make_exchange, make_keeper, make_model, make_policy, make_target

MODEL = make_model(make_target("a"), make_target("b"))
PREVIOUS = "previous_response_id"


def bind(ids: MadeIds, id: str, provider: str = "b", owner: str = "key_a", origin: str = "") -> None:
    origin = origin or f"at-{provider}"
    ids.note([MadeId(id, owner, provider, origin, "m", f"{provider}-m", 0)], True)


def exchange_of(policy: KeyPolicy | None = None, *, recalled: bool = True) -> Exchange:
    return make_exchange(policy or make_policy(), MODEL, recalled=recalled)


def providers(exchange: Exchange) -> list[str]:
    return [target.provider for target in exchange.targets]


def test_a_request_goes_where_its_context_is() -> None:
    ids, exchange = MadeIds(), exchange_of()
    bind(ids, "r1")
    make_keeper(ids).narrow(exchange, Kept([Reference("r1", PREVIOUS)]))
    assert providers(exchange) == ["b"]


@pytest.mark.parametrize("bound", ["nowhere", "another key", "another address", "a provider that is gone"])
def test_foreign_and_unknown_ids_are_answered_alike(bound: str) -> None:
    ids, exchange = MadeIds(), exchange_of()
    if bound == "another key":
        bind(ids, "r1", owner="key_b")
    elif bound == "another address":
        bind(ids, "r1", origin="elsewhere")
    elif bound == "a provider that is gone":
        bind(ids, "r1", provider="c")
    with pytest.raises(BadExchange) as caught:
        make_keeper(ids).narrow(exchange, Kept([Reference("r1", PREVIOUS)]))
    error = caught.value
    assert (error.status, error.code, error.param) == (404, "previous_response_not_found", PREVIOUS)
    assert str(error) == f"Nothing that this key has had stored has the id in '{PREVIOUS}'."


def test_a_token_shares_with_its_parent() -> None:
    ids = MadeIds()
    bind(ids, "r1", owner="key_parent")
    token = make_policy(id="tok_1", parent_id="key_parent")
    make_keeper(ids).narrow(exchange_of(token), Kept([Reference("r1", PREVIOUS)]))
    orphan = exchange_of(make_policy(id="tok_2"))
    with pytest.raises(BadExchange):
        make_keeper(ids).narrow(orphan, Kept([Reference("r1", PREVIOUS)]))


def test_what_is_not_in_memory_is_asked_for_together() -> None:
    ids, exchange = MadeIds(), exchange_of(recalled=False)
    bind(ids, "r2")
    kept = Kept([Reference(id, "input") for id in ("r1", "r2", "r3")])
    with pytest.raises(NotRemembered) as caught:
        make_keeper(ids).narrow(exchange, kept)
    assert caught.value.ids == ("r1", "r3")


def test_context_of_two_providers_cannot_be_had() -> None:
    ids = MadeIds()
    bind(ids, "r1", "a")
    bind(ids, "r2", "b")
    with pytest.raises(BadExchange) as caught:
        make_keeper(ids).narrow(exchange_of(), Kept([Reference("r1", "input"), Reference("r2", "input")]))
    assert (caught.value.status, caught.value.code) == (400, "kept_elsewhere")


OFF = Keeping("at-a", allowed=False)


def test_where_nothing_may_be_kept() -> None:
    ids = MadeIds()
    bind(ids, "r1", "a")
    keeper = make_keeper(ids, a=OFF, b=Keeping("at-b", allowed=False))
    for kept in (Kept([Reference("r1", PREVIOUS)]), Kept(demand="store"), Kept(demand="background")):
        with pytest.raises(Forbidden) as caught:
            keeper.narrow(exchange_of(), kept)
        assert (caught.value.status, caught.value.code) == (403, "stateful_not_allowed")
    for kept in (Kept(keeps=True), Kept([Reference("rs_1", "input", soft=True)])):
        exchange = exchange_of()
        keeper.narrow(exchange, kept)
        assert providers(exchange) == ["a", "b"]
    with pytest.raises(Forbidden):
        keeper.model_of(exchange_of(), Kept([Reference("r1", "response_id")]))


def test_what_must_be_kept_goes_where_it_may_be() -> None:
    exchange = exchange_of()
    make_keeper(a=OFF).narrow(exchange, Kept(demand="store"))
    assert providers(exchange) == ["b"]
    exchange = exchange_of()
    make_keeper(a=OFF).narrow(exchange, Kept(keeps=True))
    assert providers(exchange) == ["a", "b"]


def test_shared_ids_are_everybodys_but_responses_never() -> None:
    keeper = make_keeper(b=Keeping("at-b", shared=("vs_1", "file-*", "resp_*")))
    for id in ("vs_1", "file-7"):
        exchange = exchange_of()
        keeper.narrow(exchange, Kept([Reference(id, "tools", shareable=True)]))
        assert providers(exchange) == ["b"]
    off = make_keeper(a=OFF, b=Keeping("at-b", allowed=False, shared=("vs_1",)))
    exchange = exchange_of()
    off.narrow(exchange, Kept([Reference("vs_1", "tools", shareable=True)]))
    assert providers(exchange) == ["b"]
    for reference in (Reference("vs_12", "tools", shareable=True), Reference("resp_1", PREVIOUS)):
        with pytest.raises(BadExchange):
            keeper.narrow(exchange_of(), Kept([reference]))


def test_a_read_calls_what_made_it() -> None:
    ids = MadeIds()
    bind(ids, "r1")
    model = make_keeper(ids).model_of(exchange_of(), Kept([Reference("r1", "response_id")]))
    assert (model.name, [(t.provider, t.model) for t in model.targets]) == ("m", [("b", "b-m")])


@pytest.mark.parametrize(
    ("lasts", "allowed", "written"), [(True, True, 1), (False, True, 0), (True, False, 0)]
)
def test_ids_are_noted_for_their_owner(lasts: bool, allowed: bool, written: int) -> None:
    ids, kept = MadeIds(), Kept(keeps=True)
    exchange = exchange_of(make_policy(id="tok_1", parent_id="key_parent"))
    make_keeper(ids, a=Keeping("at-a", allowed=allowed)).narrow(exchange, kept)
    assert kept.note is not None
    kept.note(["early"], True)
    kept.target = exchange.targets[0]
    kept.note(["r1"], lasts)
    assert ids.find("early") is None
    assert ids.find("r1") == MadeId("r1", "key_parent", "a", "at-a", "m", "a-m", 0)
    assert len(ids.unwritten(9)) == written
