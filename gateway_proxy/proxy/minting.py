"""`POST /v1/key/ephemeral`: a key makes a short-lived token of itself, without an administrator."""

from collections.abc import Awaitable, Callable
from typing import cast

import orjson
from multidict import CIMultiDictProxy

from gateway_proxy.core.errors import BadExchange, Forbidden, GatewayError, Unavailable
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.dialects.strict_json import parse_object
from gateway_proxy.keys.draft import NARROWING, DraftError
from gateway_proxy.keys.service import Caller, KeyService, ServiceError, token_object
from gateway_proxy.proxy.answers import Answer, BaseAnswer
from gateway_proxy.proxy.credentials import find_secret
from gateway_proxy.proxy.runtime import Runtime
from gateway_proxy.storage.database import StoreError

MINT_PATH = "/v1/key/ephemeral"
MAX_BODY_BYTES = 65_536


class TokenMint:
    """`await_change` returns when a change of that number is in force on every gateway of an organization; `find_end` says when
    a secret ends that has been replaced."""

    def __init__(
        self,
        service: KeyService,
        await_change: Callable[[int, str], Awaitable[None]],
        find_end: Callable[[str], int | None],
    ) -> None:
        self._service = service
        self._await_change = await_change
        self._find_end = find_end

    async def mint(self, exchange: Exchange, runtime: Runtime) -> BaseAnswer:
        """201 with the token. Raises GatewayError."""
        policy = exchange.policy
        assert policy is not None
        key = policy.key
        if key.is_ephemeral:
            raise Forbidden(
                "An ephemeral token cannot make further tokens; use the API key that it was made from.",
                code="token_cannot_mint",
            )
        if len(exchange.body) > MAX_BODY_BYTES:
            raise BadExchange("The request body is too large.", code="body_too_large", status=413)
        document = parse_object(exchange.body, NARROWING) if exchange.body.strip() else {}
        ip = "" if exchange.client_ip is None else str(exchange.client_ip)
        try:
            ends_at = self._find_end(find_secret(cast("CIMultiDictProxy[str]", exchange.headers)) or "")
            made = await self._service.mint(key.id, document, Caller(key.id, key.organization, ip), ends_at)
        except DraftError as error:
            raise BadExchange(
                f"The token cannot be made: {error}.",
                code="invalid_type",
                param=error.errors[0].path or None,
                gateway={"errors": error.to_json()},
            ) from None
        except ServiceError as error:
            raise _explain(error) from None
        except StoreError as error:
            raise Unavailable(
                "The store does not answer, so no token was made.",
                code="store_stale",
                retry_after_ms=1000,
                detail=str(error),
            ) from None
        if made.sequence is not None:
            await self._await_change(made.sequence, key.organization)
        lines = f"{exchange.answer_lines}content-type: application/json\r\ncache-control: no-store\r\n"
        return Answer(201, lines, orjson.dumps(token_object(made)))


def _explain(error: ServiceError) -> GatewayError:
    if error.code == "unavailable":
        return Unavailable("This gateway cannot sign tokens now.", code="overloaded", detail=error.message)
    if error.code == "not_allowed":
        return Forbidden(f"The token cannot be made: {error.message}.", code="token_cannot_mint")
    return BadExchange(f"The token cannot be made: {error.message}.", code="conflict", status=409)
