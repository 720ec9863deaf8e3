"""The Anthropic dialect: what `core.dialect.Dialect` asks for, put together from this package's parts."""

from collections.abc import Callable
from typing import Any, ClassVar

import orjson

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.dialect import UsageTap
from gateway_proxy.core.errors import BadExchange, GatewayError
from gateway_proxy.core.route import InputBound, Route
from gateway_proxy.dialects.anthropic import messages, refusals
from gateway_proxy.dialects.anthropic.tap import AnswerTap, StreamTap
from gateway_proxy.dialects.members import read_model_name
from gateway_proxy.dialects.strict_json import parse_object

_UNDERSTAND: dict[str, Callable[[dict[str, Any], Route], None]] = {
    "/v1/messages": messages.understand,
    "/v1/messages/count_tokens": messages.understand_count,
}
_JSON_TYPE = "application/json"


class AnthropicDialect:
    """Stateless; one instance serves everybody. A base URL brings no version: paths do."""

    name: ClassVar[str] = "anthropic"
    speaks: ClassVar[frozenset[str]] = frozenset(("anthropic",))

    def identify(self, operation: str, path: str, body: bytes, content_type: str) -> Route:
        """Raises BadExchange: invalid_json, invalid_type, too_deep, model_missing, response_not_found, route_not_found."""
        understand = _UNDERSTAND.get(path)
        if understand is None:
            raise BadExchange("There is nothing at this path.", status=404, code="route_not_found")
        value = parse_object(body, messages.POLICY_MEMBERS)
        model = read_model_name(value)
        encoded = orjson.dumps(value)
        size = len(encoded)
        route = Route(
            operation,
            path,
            model,
            body=value,
            body_bytes=size,
            bound=InputBound(size),
            encoded=encoded,
        )
        understand(value, route)
        return route

    def encode(
        self, route: Route, target: Target, output_cap: int | None, modern_cap_field: bool
    ) -> tuple[bytes, str, str]:
        """The body with the target's model. It always brings its own maximum; only what was translated gets a cap below that."""
        encoded, route.encoded = route.encoded, b""
        if output_cap is not None:
            body = messages.cap_output({**route.body, "model": target.model}, output_cap)
            return orjson.dumps(body), _JSON_TYPE, route.path
        if not encoded or target.model != route.model:
            encoded = orjson.dumps({**route.body, "model": target.model})
        return encoded, _JSON_TYPE, route.path

    def tap(self, route: Route, streaming: bool) -> UsageTap:
        """A fresh tap for one answer."""
        return StreamTap(route) if streaming else AnswerTap(route)

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        """See `refusals.error_body`."""
        return refusals.error_body(error, request_id)

    def error_event(self, error: GatewayError, operation: str, request_id: str) -> bytes:
        """See `refusals.error_event`."""
        return refusals.error_event(error, request_id)

    def upstream_headers(self, api_key: str | None) -> list[tuple[str, str]]:
        """The credential; none for servers that want none. The version goes up with the client's headers."""
        return [] if api_key is None else [("x-api-key", api_key)]
