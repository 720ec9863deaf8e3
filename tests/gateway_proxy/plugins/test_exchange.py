"""A plugin reads everything but credentials, and writes to `extras` and nowhere else."""

from typing import Any

import pytest

from gateway_proxy.core.route import Bound
from gateway_proxy.plugins.exchange import Exchange, TargetFacts, freeze
from tests.support.exchanges import make_exchange, make_model, make_policy, make_route

HEADERS = {"Authorization": "Bearer gwk_x", "X-API-Key": "gwk_x", "Cookie": "a=b", "X-Team": "blue"}


def test_before_anything_was_decided() -> None:
    inner = make_exchange(headers=HEADERS, secret="gwk_x")
    seen = Exchange(inner)
    assert (seen.id, seen.method, seen.path, seen.operation) == (
        "req_1",
        "POST",
        "/v1/chat/completions",
        "chat",
    )
    assert (seen.key, seen.model, seen.stream, seen.body, seen.targets) == (None, "", False, None, ())
    assert seen.bound_nanos is None and seen.dialect == "openai" and str(seen.client_ip) == "192.0.2.1"
    assert (seen.received_at, seen.trace_id, seen.client_request_id) == (1_790_000_000_000, "", "")
    assert not seen.is_trial
    assert dict(seen.headers) == {"X-Team": "blue"} and seen.headers["x-team"] == "blue"
    assert "gwk_x" not in repr(seen) and not seen.is_trial
    inner.is_trial = True
    assert seen.is_trial


def test_after_everything_was_decided() -> None:
    route = make_route(stream=True, body={"model": "m", "messages": [{"role": "user"}]})
    inner = make_exchange(make_policy(metadata={"team": {"name": "a"}}), make_model(), route)
    inner.bound = Bound(1, 2, 3)
    seen = Exchange(inner)
    assert seen.key is not None
    assert (seen.key.id, seen.key.owner, seen.key.metadata["team"]["name"]) == ("key_a", "local", "a")
    assert (seen.model, seen.stream, seen.bound_nanos) == ("m", True, 3)
    assert seen.targets == (TargetFacts("openai", "openai-m"),)
    assert seen.body is not None and seen.body["messages"][0]["role"] == "user"
    inner.route = make_route(body=object())
    assert Exchange(inner).body is None  # a form


@pytest.mark.parametrize("name", ["policy", "id", "model", "claims", "anything", "extras"])
def test_nothing_else_can_be_written(name: str) -> None:
    seen = Exchange(make_exchange())
    with pytest.raises(AttributeError, match="extras"):
        setattr(seen, name, 1)
    with pytest.raises(AttributeError, match="extras"):
        delattr(seen, name)


def test_what_is_shown_cannot_be_written_through() -> None:
    inner = make_exchange(make_policy(metadata={"a": [1]}), make_model(), make_route(body={"a": {"b": [1]}}))
    seen: Any = Exchange(inner)
    for write in (
        lambda: seen.body.update(a=1),
        lambda: seen.body["a"].pop("b"),
        lambda: seen.body["a"]["b"].append(2),
        lambda: seen.key.metadata.clear(),
        lambda: seen.key.metadata["a"].append(2),
        lambda: seen.headers.add("a", "b"),
        lambda: setattr(seen.key, "owner", "me"),
    ):
        with pytest.raises(AttributeError):
            write()
    seen.extras["mine"] = {"score": 1}
    assert inner.extras == {"mine": {"score": 1}} and Exchange(inner).extras["mine"]["score"] == 1


def test_a_frozen_copy_is_apart_from_what_it_copies() -> None:
    body = {"a": [{"b": 1}]}
    frozen = freeze(body)
    body["a"][0]["b"] = 2
    assert frozen["a"][0]["b"] == 1
