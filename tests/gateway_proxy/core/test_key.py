"""A key's status is the first that holds of revoked, expired, inactive, active."""

from gateway_proxy.core.key import Key, Status


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
