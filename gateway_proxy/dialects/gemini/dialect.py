"""The Gemini dialect: what `core.dialect.Dialect` asks for, put together from this package's parts."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import quote, unquote

import orjson

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.dialect import UsageTap
from gateway_proxy.core.errors import BadExchange, GatewayError
from gateway_proxy.core.route import InputBound, Route
from gateway_proxy.dialects.gemini import content, refusals
from gateway_proxy.dialects.gemini.spelling import spell_alike
from gateway_proxy.dialects.gemini.tap import AnswerTap, ArrayTap, StreamTap
from gateway_proxy.dialects.strict_json import parse_object, refuse_variants

_UNDERSTAND: dict[str, Callable[[dict[str, Any], Route], None]] = {
    "generateContent": content.understand_generation,
    "streamGenerateContent": content.understand_generation,
    "countTokens": content.understand_count,
    "embedContent": content.understand_embedding,
    "batchEmbedContents": content.understand_embedding,
}
_MODELS = "/models/"
_JSON_TYPE = "application/json"
_ANY_MEMBER: frozenset[str] = frozenset()


@lru_cache(maxsize=4096)
def _name_in_path(path: str, model: str) -> str:
    return path.replace("/:", f"/{quote(model, safe='')}:", 1)


@lru_cache(maxsize=4096)
def _read_path(path: str) -> tuple[str, str, str, bool]:
    """The path for the provider, whose model's place stays empty, since each target has its own name for it; the model; the
    method; whether events are asked for."""
    plain, _, query = path.partition("?")
    version, _, named = plain.partition(_MODELS)
    name, _, method = named.rpartition(":")
    return f"{version}{_MODELS}:{method}" + ("?alt=sse" if query else ""), unquote(name), method, bool(query)


class GeminiDialect:
    """Stateless; one instance serves everybody. A base URL brings no version: paths do, the client's one."""

    name: ClassVar[str] = "gemini"
    speaks: ClassVar[frozenset[str]] = frozenset(("gemini",))

    def identify(self, operation: str, path: str, body: bytes, content_type: str) -> Route:
        """`path` is `/VERSION/models/MODEL:METHOD`, with `?alt=sse` behind it for a stream of events.

        Raises BadExchange: invalid_json, invalid_type, too_deep, route_not_found.
        """
        upstream_path, model, method, is_events = _read_path(path)
        understand = _UNDERSTAND.get(method)
        if understand is None or not model:
            raise BadExchange("There is nothing at this path.", status=404, code="route_not_found")
        value = parse_object(body, _ANY_MEMBER)
        spell_alike(value)
        refuse_variants(value, content.POLICY_MEMBERS)
        content.check_models(value, model)
        if type(value.get("generationConfig")) is dict:
            spell_alike(value["generationConfig"])  # before what is judged is written down
        encoded = orjson.dumps(value)
        size, is_stream = len(encoded), method == "streamGenerateContent"
        # By position, every field: twice as fast as by name.
        bound = InputBound(size, False, None, None)
        route = Route(
            operation, upstream_path, model, is_stream, value, size, 1, None, False, False, None, bound, encoded,
            is_stream and not is_events,
        )  # fmt: skip
        understand(value, route)
        return route

    def encode(
        self, route: Route, target: Target, output_cap: int | None, modern_cap_field: bool
    ) -> tuple[bytes, str, str]:
        """The body with the cap, and the path with the target's model."""
        model = target.model.removeprefix("models/")
        encoded, route.encoded = route.encoded, b""
        body = route.body
        if model != route.model and not content.MODEL_PLACES.isdisjoint(body):
            body, encoded = content.name_model(body, model), b""
        if output_cap is not None and route.wants_output_cap:
            config = {**(body.get("generationConfig") or {}), "maxOutputTokens": output_cap}
            body, encoded = {**body, "generationConfig": config}, b""
        path = _name_in_path(route.path, model)
        return encoded or orjson.dumps(body), _JSON_TYPE, path

    def tap(self, route: Route, streaming: bool) -> UsageTap:
        """A fresh tap for one answer."""
        if streaming:
            return StreamTap(route)
        return ArrayTap(route) if route.as_array else AnswerTap(route)

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        """See `refusals.error_body`."""
        return refusals.error_body(error)

    def error_event(self, error: GatewayError, operation: str, request_id: str) -> bytes:
        """See `refusals.error_event`."""
        return refusals.error_event(error)

    def upstream_headers(self, api_key: str | None) -> list[tuple[str, str]]:
        """The credential; none for servers that want none."""
        return [] if api_key is None else [("x-goog-api-key", api_key)]
