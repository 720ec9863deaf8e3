"""Stands around a plugin's stage so that whatever it does is one of two things: the request passes, or is refused.

Finding and making plugins belongs to `load`, running stages in order to `pipeline`.
"""

import asyncio
import logging
import re
from inspect import iscoroutine
from typing import Any

import orjson

from gateway_proxy.core.errors import Denied, GatewayError, Unavailable
from gateway_proxy.core.exchange import Exchange as Inner
from gateway_proxy.plugins.exchange import Exchange
from gateway_proxy.plugins.stage import AsyncStage, Stage

log = logging.getLogger("gateway_proxy.plugins")

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Guard:
    """A `Stage` as the pipeline runs it."""

    def __init__(self, name: str, stage: Stage, *, needs_body: bool) -> None:
        self.name = name
        self.stage = stage
        self.needs_body = needs_body

    def check(self, exchange: Inner, /) -> None:
        """Raises GatewayError unless the plugin said yes."""
        try:
            result: object = self.stage.check(Exchange(exchange))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a guard that breaks refuses, in whatever way it broke
            raise refuse(self.name, exchange, error) from None
        if result is not None:
            raise refuse(self.name, exchange, _describe_result(result))


class AsyncGuard:
    """An `AsyncStage` as the pipeline runs it."""

    def __init__(self, name: str, stage: AsyncStage, *, needs_body: bool) -> None:
        self.name = name
        self.stage = stage
        self.needs_body = needs_body

    async def check(self, exchange: Inner, /) -> None:
        """Raises GatewayError unless the plugin said yes in time."""
        limit = asyncio.timeout(self.stage.timeout_seconds)
        result: object = None
        failure: BaseException | None = None
        try:
            async with limit:
                result = await self.stage.check(Exchange(exchange))  # type: ignore[func-returns-value]
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # as above; a cancellation is the plugin's own unless we are cancelled
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            failure = error
        if limit.expired():
            log.error(
                "stage %s took longer than %s s on %s; the request is refused",
                self.name, self.stage.timeout_seconds, exchange.id,
            )  # fmt: skip
            raise Unavailable(
                "The gateway could not check this request in time and refused it.",
                code="stage_timeout",
                detail=f"stage {self.name} took too long",
                retry_after_ms=1000,
            )
        if failure is not None:
            raise refuse(self.name, exchange, failure) from None
        if result is not None:
            raise refuse(self.name, exchange, _describe_result(result))


def refuse(name: str, exchange: Inner, error: BaseException) -> GatewayError:
    """The refusal for what a plugin raised: its own `Denied` if that can be sent, else a 500 that tells only the log."""
    if isinstance(error, Denied):
        flaw = find_flaw(error)
        if not flaw:
            return error.with_traceback(None)
        error = TypeError(f"it raised a Denied whose {flaw}")
    log.error("stage %s broke on %s; the request is refused", name, exchange.id, exc_info=error)
    return GatewayError(
        "The gateway could not check this request and refused it.",
        code="stage_failed",
        detail=f"stage {name} broke: {type(error).__name__}",
    )


def find_flaw(denied: Denied) -> str:
    """Why a refusal cannot be sent as it is; "" if it can."""
    wait = denied.retry_after_ms
    checks = (
        (type(denied.status) is int and 400 <= denied.status <= 599, "status is not from 400 to 599"),
        (_is_word(denied.code), "code is not a word of a-z, 0-9 and _"),
        (_is_word(denied.type), "type is not a word of a-z, 0-9 and _"),
        (isinstance(denied.public, str), "message is not text"),
        (denied.param is None or isinstance(denied.param, str), "param is not text"),
        (wait is None or (type(wait) is int and wait >= 0), "retry_after_ms is not a whole number"),
        (denied.gateway is None or _is_json_object(denied.gateway), "gateway is not a JSON object"),
    )
    return next((flaw for passes, flaw in checks if not passes), "")


def _is_word(value: object) -> bool:
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def _is_json_object(value: Any) -> bool:
    try:
        return isinstance(value, dict) and bool(orjson.dumps(value))
    except TypeError:
        return False


def _describe_result(result: object) -> TypeError:
    if iscoroutine(result):
        result.close()
    return TypeError(f"check returned {type(result).__name__}; it must return None or raise Denied")
