"""One credential, wherever it stands."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.proxy.credentials import MAX_SECRET_CHARACTERS, find_secret


def find(*lines: tuple[str, str]) -> str | None:
    return find_secret(CIMultiDictProxy(CIMultiDict(lines)))


@pytest.mark.parametrize("name", ["x-api-key", "api-key", "x-goog-api-key", "X-API-KEY"])
def test_places(name: str) -> None:
    assert find((name, " s ")) == "s"
    assert find(("Authorization", "Bearer s"), (name, "s")) == "s"
    with pytest.raises(BadExchange) as refused:
        find(("Authorization", "Bearer s"), (name, "other"))
    assert refused.value.code == "conflicting_credentials" and "other" not in refused.value.public


def test_bearer() -> None:
    assert find(("authorization", "bearer   s ")) == "s"
    assert find(("Authorization", "Basic s")) is find(("Authorization", "s")) is find() is None
    assert find(("Authorization", "Bearer")) == ""
    assert (
        find(("Authorization", "Bearer s"), ("Authorization", "Bearer s"), ("Authorization", "Basic x"))
        == "s"
    )


def test_a_long_one_is_not_carried_about() -> None:
    assert find(("x-api-key", "a" * (MAX_SECRET_CHARACTERS + 1))) == "garbled"
    assert find(("x-api-key", "a" * MAX_SECRET_CHARACTERS)) == "a" * MAX_SECRET_CHARACTERS
