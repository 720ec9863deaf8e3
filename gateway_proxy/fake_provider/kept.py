"""Responses that the provider keeps: by id, with their input, until they are deleted."""

import re
from collections import OrderedDict
from typing import Any

from gateway_proxy.fake_provider.reply import error_body
from gateway_proxy.fake_provider.responses import ResponsesReply

MAX_KEPT = 1000
_PATH = re.compile(r"/v1/responses/([A-Za-z0-9_-]+)(?:/(cancel|input_items))?")
_METHODS = {None: ("GET", "DELETE"), "cancel": ("POST",), "input_items": ("GET",)}


class KeptResponses:
    """In memory only."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[dict[str, Any], Any]] = OrderedDict()

    def keep(self, reply: ResponsesReply) -> None:
        """Keep a finished response unless it asked for nothing of the kind."""
        if reply.finished is None or reply.job.body.get("store") is False:
            return
        self._kept[reply.id] = (reply.finished, reply.job.body.get("input"))
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def holds(self, id: str) -> bool:
        return id in self._kept

    def serves(self, path: str) -> bool:
        return _PATH.fullmatch(path) is not None

    def answer(self, method: str, path: str) -> tuple[int, dict[str, Any]] | None:
        """Status and body; None for a path that asks for no kept response."""
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        id, what = found[1], found[2]
        if method not in _METHODS[what]:
            return 405, error_body(f"Not allowed to {method} on {path}", "invalid_request_error", None)
        if id not in self._kept:
            return 404, error_body(f"Response with id '{id}' not found.", "invalid_request_error", None)
        response, given = self._kept[id]
        if method == "DELETE":
            del self._kept[id]
            return 200, {"id": id, "object": "response", "deleted": True}
        if what == "input_items":
            item = {"id": "msg_in", "type": "message", "role": "user", "content": given}
            return 200, {
                "object": "list",
                "data": [item],
                "first_id": "msg_in",
                "last_id": "msg_in",
                "has_more": False,
            }
        return 200, {**response, "status": "cancelled"} if what == "cancel" else response
