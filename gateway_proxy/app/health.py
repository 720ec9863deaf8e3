"""Liveness and readiness. Details are for those who may see the gateway's inside; others get one word."""

from collections.abc import Callable
from typing import Any

import orjson

from gateway_proxy.proxy.answers import Answer, BaseAnswer

_JSON = "content-type: application/json\r\ncache-control: no-store\r\n"


class Health:
    """`describe` returns (ready, details)."""

    def __init__(self, describe: Callable[[], tuple[bool, dict[str, Any]]]) -> None:
        self._describe = describe

    def check_alive(self) -> BaseAnswer:
        """`GET /healthz`: the process serves."""
        return Answer(200, _JSON, orjson.dumps({"status": "ok"}))

    def check_ready(self, *, with_details: bool) -> BaseAnswer:
        """`GET /readyz`: 200 when everything works, 503 when something needs somebody's attention."""
        ready, details = self._describe()
        body: dict[str, Any] = {"status": "ready" if ready else "not ready"}
        if with_details:
            body.update(details)
        return Answer(200 if ready else 503, _JSON, orjson.dumps(body))
