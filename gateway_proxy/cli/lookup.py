"""Finds what people name on the command line: keys by id or name, members by id or e-mail address; and whole lists."""

from typing import Any

from gateway_proxy.admin.problem import NotFound
from gateway_proxy.cli.refusal import Refusal
from gateway_proxy.cli.target import AdminApi
from gateway_proxy.core.ids import is_id
from gateway_proxy.keys.secret import looks_like_secret, preview

PAGE = 1000
_LONGEST_SEARCH = 200


async def list_all(api: AdminApi, path: str, **query: object) -> list[dict[str, Any]]:
    """The list over all its pages."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = await api.send("GET", path, query={**query, "limit": PAGE, "cursor": cursor})
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def find_key(api: AdminApi, text: str) -> dict[str, Any]:
    """The key of this id, or of this exact name if only one has it. Raises Refusal."""
    if is_id(text, "key"):
        try:
            shown: dict[str, Any] = await api.send("GET", f"/keys/{text}")
        except NotFound:
            raise Refusal(f"there is no key {text}") from None
        return shown
    if looks_like_secret(text):  # it must reach neither a terminal's log nor a request log
        raise Refusal(
            f"{preview(text)} is a key's secret; name the key by its id or name, see `gateway-proxy keys list`"
        )
    named = [k for k in await list_all(api, "/keys", search=text[:_LONGEST_SEARCH]) if k["name"] == text]
    if len(named) > 1:
        raise Refusal(f"{len(named)} keys are named {text!r}; use the id, for example {named[0]['id']}")
    if not named:
        raise Refusal(f"there is no key with the id or name {text!r}; see `gateway-proxy keys list`")
    return named[0]


async def find_member(api: AdminApi, text: str) -> dict[str, Any]:
    """The member of this id or e-mail address. Raises Refusal."""
    if is_id(text, "mem"):
        shown: dict[str, Any] = await api.send("GET", f"/members/{text}")
        return shown
    email = text.strip().lower()
    found = [
        m for m in await list_all(api, "/members", search=email[:_LONGEST_SEARCH]) if m["email"] == email
    ]
    if not found:
        raise Refusal(f"there is no member {email}")
    if len(found) > 1:
        raise Refusal(f"{email} is a member of several organizations; name the member by the id")
    return found[0]


async def find_gateway(api: AdminApi, text: str) -> dict[str, Any]:
    """The gateway of this id, or of this exact name if only one has it. Raises Refusal."""
    found = [
        gateway for gateway in await list_all(api, "/gateways") if text in (gateway["id"], gateway["name"])
    ]
    if len(found) > 1:
        raise Refusal(f"{len(found)} gateways are named {text!r}; use the id, for example {found[0]['id']}")
    if not found:
        raise Refusal(f"there is no gateway with the id or name {text!r}; see `gateway-proxy gateways list`")
    return found[0]
