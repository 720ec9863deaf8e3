"""Reads a request body: capped while it streams, cut when it idles, refused when it is encoded; large forms go to disk."""

import asyncio
from pathlib import Path
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.proxy.form_file import FORM_BYTES, FormFile
from gateway_proxy.proxy.head_facts import HeadFacts
from gateway_proxy.proxy.request import Body, ClientRequest

IDLE_SECONDS = 30.0


class ClientGone(Exception):
    """The client left before its request was complete; there is nobody to answer."""


def _too_large(limit: int) -> BadExchange:
    return BadExchange(f"The request body is larger than {limit} bytes.", code="body_too_large", status=413)


def check_head(facts: HeadFacts, body_length: int | None, limit_bytes: int) -> None:
    """Refuse what the head alone condemns. Raises BadExchange (413, 415)."""
    if facts.is_encoded:
        raise BadExchange(
            "Send the request body without Content-Encoding.", code="unsupported_encoding", status=415
        )
    if body_length is not None and body_length > limit_bytes:
        raise _too_large(limit_bytes)


async def read_body(request: ClientRequest, limit_bytes: int, form_folder: Path | None = None) -> bytes:
    """The whole body; with `form_folder` one of more than 1 MiB is the map of a file there, which reads like bytes.

    Raises BadExchange (408, 413), Unavailable and ClientGone.
    """
    content = request.content
    try:
        if content.is_eof():  # it came with the head: the usual case
            body: bytes = content.read_nowait()
            if len(body) > limit_bytes:
                raise _too_large(limit_bytes)
            return body
        return await _gather(content, limit_bytes, form_folder)
    except TimeoutError:
        raise BadExchange(
            f"The request body stalled for {IDLE_SECONDS:.0f} seconds.", code="body_timeout", status=408
        ) from None
    except (web.RequestPayloadError, HttpProcessingError):
        if request.transport is None:
            raise ClientGone from None
        raise BadExchange("The request body is not valid HTTP.", code="invalid_body") from None
    except ConnectionError:
        raise ClientGone from None
    except RuntimeError:  # aiohttp's word where the connection was lost before this read began
        if request.transport is not None:
            raise
        raise ClientGone from None


async def _gather(content: Body, limit_bytes: int, form_folder: Path | None) -> bytes:
    chunks: list[bytes] = []
    size = held = 0
    file: FormFile | None = None
    try:
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                chunk = await content.readany()
            if not chunk:
                break
            size += len(chunk)
            held += len(chunk)
            if size > limit_bytes:
                raise _too_large(limit_bytes)
            chunks.append(chunk)
            if form_folder is not None and held > FORM_BYTES:
                file = file or FormFile(form_folder)
                await file.write(b"".join(chunks))
                chunks.clear()
                held = 0
        if file is None:
            return b"".join(chunks)
        await file.write(b"".join(chunks))
        return cast("bytes", file.map())
    finally:
        if file is not None:
            file.close()
