"""Authentication: one secret, one key, and its status now."""

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.errors import Unauthenticated
from gateway_proxy.stages.authenticate import Authenticate
from tests.support.exchanges import make_exchange, make_policy

NOW = 1_790_000_000_000


def check(secret: str | None, **members: object) -> str:
    """The code of the refusal, "" if there is none."""
    policy = make_policy(**members)
    stage = Authenticate(
        lambda text, now_ms: policy if text == "right" and now_ms == NOW else None, FakeClock(NOW)
    )
    exchange = make_exchange(secret=secret)
    try:
        stage.check(exchange)
    except Unauthenticated as error:
        return error.code if error.status == 401 and "wrong" not in error.public else "?"
    finally:
        assert exchange.secret is None  # kept no longer than needed
    assert exchange.policy is policy
    return ""


@pytest.mark.parametrize(
    ("secret", "code"),
    [("right", ""), ("wrong", "invalid_api_key"), ("", "missing_api_key"), (None, "missing_api_key")],
)
def test_secrets(secret: str | None, code: str) -> None:
    assert check(secret) == code


def test_status() -> None:
    assert check("right", inactive=True) == "key_inactive"
    assert check("right", inactive=True, expires_at=NOW) == "key_expired"
    assert check("right", expires_at=NOW + 1) == ""
    assert check("right", expires_at=NOW, revoked_at=1) == "key_revoked"
