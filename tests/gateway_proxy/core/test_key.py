"""A key's status is the first that holds of revoked, expired, inactive, active."""

from dataclasses import replace

from gateway_proxy.core.key import Key, Status, find_listed_status, find_token_status


def status(**members: object) -> Status:
    return Key(id="k", name="k", organization="o", owner="l", **members).status(1000)  # type: ignore[arg-type]


def test_the_first_that_holds() -> None:
    assert status() is Status.ACTIVE
    assert status(inactive=True) is Status.INACTIVE
    assert status(inactive=True, expires_at=1000) is Status.EXPIRED
    assert status(inactive=True, expires_at=1, revoked_at=5) is Status.REVOKED


def test_expiry_is_exact() -> None:
    assert status(expires_at=1001) is Status.ACTIVE
    assert status(expires_at=1000) is Status.EXPIRED


def test_earlier_generations_are_honoured_until_their_grace_ends() -> None:
    key = Key(id="k", name="k", organization="o", owner="l", generation=3, fading=((2, 100), (1, 50)))
    assert [key.honours(generation, 99) for generation in (0, 1, 2, 3, 4)] == [
        False,
        False,
        True,
        True,
        False,
    ]
    assert not key.honours(2, 100)


def test_a_token_is_no_better_than_its_key() -> None:
    token, parent = (Key(id=name, name="k", organization="o", owner="l") for name in ("t", "k"))
    for own, parents, joint in (
        ({}, {}, "active"),
        ({}, {"inactive": True}, "inactive"),
        ({"inactive": True}, {}, "inactive"),
        ({"inactive": True}, {"expires_at": 1}, "expired"),
        ({"revoked_at": 1}, {"inactive": True}, "revoked"),
        ({"expires_at": 1}, {"expires_at": 1}, "expired"),
        ({}, {"generation": 2}, "revoked"),
    ):
        assert find_token_status(replace(token, **own), replace(parent, **parents), 1000) == joint
    assert find_token_status(token, None, 1000) is Status.REVOKED


def test_the_list_tells_a_token_that_ended_from_one_that_sleeps() -> None:
    token, parent = (Key(id=name, name="k", organization="o", owner="l") for name in ("t", "k"))
    rotated = replace(parent, generation=2)
    assert find_listed_status(replace(token, expires_at=1), rotated, 1000) is Status.EXPIRED
    assert find_listed_status(replace(token, revoked_at=1), rotated, 1000) is Status.REVOKED
    assert find_listed_status(token, replace(parent, inactive=True), 1000) is Status.INACTIVE
    assert find_listed_status(replace(token, expires_at=1), None, 1000) is Status.EXPIRED
