"""Health: one word for everybody, details for those who may see them."""

import json

import pytest

from gateway_proxy.app.health import Health


@pytest.mark.parametrize(("ready", "status", "word"), [(True, 200, "ready"), (False, 503, "not ready")])
def test_details_only_when_asked(ready: bool, status: int, word: str) -> None:
    health = Health(lambda: (ready, {"keys": 3}))
    for with_details, body in ((True, {"status": word, "keys": 3}), (False, {"status": word})):
        answer = health.check_ready(with_details=with_details)
        assert (answer.status, json.loads(answer.body)) == (status, body)  # type: ignore[attr-defined]


def test_alive_is_not_ready() -> None:
    answer = Health(lambda: (False, {})).check_alive()
    assert (answer.status, answer.body) == (200, b'{"status":"ok"}')  # type: ignore[attr-defined]
