"""Health: one word for everybody, details for this machine alone."""

import json
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway_proxy.app.health import Health


def ask(
    peer: str, *, ready: bool = True, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    transport = Mock()
    transport.get_extra_info = lambda name, default=None: (peer, 5) if name == "peername" else default
    request = make_mocked_request("GET", "/readyz", headers=headers or {}, transport=transport)
    answer = Health(lambda: (ready, {"keys": 3})).check_ready(request)
    return answer.status, json.loads(answer.body)  # type: ignore[attr-defined]


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_details_for_this_machine(peer: str) -> None:
    assert ask(peer) == (200, {"status": "ready", "keys": 3})
    assert ask(peer, ready=False) == (503, {"status": "not ready", "keys": 3})


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "x-real-ip", "X-Forwarded-Host"])
def test_one_word_for_others(header: str) -> None:
    assert ask("192.0.2.1") == (200, {"status": "ready"})
    assert ask("127.0.0.1", headers={header: "127.0.0.1"}) == (200, {"status": "ready"})


def test_alive_is_not_ready() -> None:
    answer = Health(lambda: (False, {})).check_alive(make_mocked_request("GET", "/healthz"))
    assert (answer.status, answer.body) == (200, b'{"status":"ok"}')  # type: ignore[attr-defined]
