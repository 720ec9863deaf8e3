"""What a form sent, as the browser encodes it. What its fields mean does not belong here."""

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.web_request import FileField
    from multidict import MultiDictProxy


async def read_posted(request: web.Request) -> "MultiDictProxy[str | bytes | bytearray | FileField]":
    """The fields of a form. Raises HTTPBadRequest for a body that cannot be one."""
    if request.content_type.startswith("multipart/"):  # no page has a form that sends files
        raise web.HTTPBadRequest
    try:
        return await request.post()
    except (ValueError, LookupError):  # bytes that are not in its charset, or a charset that nobody knows
        raise web.HTTPBadRequest from None
