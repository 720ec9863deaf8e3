"""The OpenAI dialect: what `core.dialect.Dialect` asks for, put together from this package's parts."""

from collections.abc import Callable
from typing import Any, ClassVar

import orjson

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.dialect import Payload, UsageTap
from gateway_proxy.core.errors import BadExchange, GatewayError
from gateway_proxy.core.route import InputBound, Route
from gateway_proxy.dialects import multipart
from gateway_proxy.dialects.members import read_text
from gateway_proxy.dialects.multipart import MultipartForm, Part
from gateway_proxy.dialects.openai import generation, plain, refusals, stored
from gateway_proxy.dialects.openai.members import POLICY_MEMBERS, read_model, refuse_model_fields
from gateway_proxy.dialects.openai.tap import AnswerTap, SoundTap, StreamTap
from gateway_proxy.dialects.strict_json import parse_object

_Understand = Callable[[dict[str, Any], Route], None]
_JSON: dict[str, _Understand] = {
    "/chat/completions": generation.understand_chat,
    "/completions": generation.understand_completions,
    "/responses": generation.understand_responses,
    "/embeddings": plain.understand_embeddings,
    "/moderations": plain.understand_moderations,
    "/rerank": plain.understand_rerank,
    "/images/generations": plain.understand_images,
    "/images/edits": plain.understand_images,
    "/audio/speech": plain.understand_speech,
}
_FORMS: dict[str, Callable[[MultipartForm, Route], None]] = {
    "/images/edits": plain.understand_images,
    "/images/variations": plain.understand_images,
    "/audio/transcriptions": plain.understand_transcription,
    "/audio/translations": plain.understand_transcription,
}
_JSON_AS_SENT: dict[str, tuple[str, _Understand]] = {
    prefix + path: (path, understand) for prefix in ("/v1", "") for path, understand in _JSON.items()
}
ENDPOINTS = tuple(sorted({*_JSON, *_FORMS}, key=len, reverse=True))
"""All paths below a base URL, none before one that ends with it."""
_JSON_TYPE = "application/json"
_USAGE_ASKED = b',"stream_options":{"include_usage":true}'
_PIECES_FROM_BYTES = 16_384  # from here on a copy costs more than a second piece in a write
_CAPS = frozenset(("max_tokens", "max_completion_tokens", "max_output_tokens"))


class OpenAIDialect:
    """Holds nothing of a request. `keeps` False: as a provider's dialect it has responses stored nowhere."""

    name: ClassVar[str] = "openai"
    speaks: ClassVar[frozenset[str]] = frozenset(("openai", "azure"))

    def __init__(self, *, keeps: bool = True) -> None:
        self._stores_off = not keeps

    def identify(
        self, operation: str, path: str, body: bytes, content_type: str, named_model: str = ""
    ) -> Route:
        """The route of `path` (as the client sent it, with or without `/v1`, which a base URL brings itself).

        A `named_model` stands for the body's own.

        Raises BadExchange: invalid_json, invalid_type, too_deep, model_missing, route_not_found.
        """
        found = _JSON_AS_SENT.get(path)
        if found is None or "multipart/" in content_type[:20].lower():
            form_path = path.removeprefix("/v1")
            if form_path in _FORMS:
                return _identify_form(operation, form_path, body, content_type, named_model)
            if found is None:
                return stored.identify_read(operation, form_path, body)
        path, understand = found
        value = parse_object(body, POLICY_MEMBERS)
        if named_model:
            value["model"] = named_model
        model = read_model(value)
        tier = read_text(value, "service_tier") if "service_tier" in value else None
        encoded = orjson.dumps(value)
        size = len(encoded)
        # By position, every field: twice as fast as by name.
        bound = InputBound(size, False, None, None)
        route = Route(operation, path, model, False, value, size, 1, None, False, False, tier, bound, encoded)
        understand(value, route)
        return route

    def encode(
        self, route: Route, target: Target, output_cap: int | None, modern_cap_field: bool
    ) -> tuple[Payload, str, str]:
        """The body with our edits, serialised; the route's own body stays as the client sent it.

        What `identify` has serialised goes to the first attempt and is let go of, or it would stay in memory
        for as long as the answer lasts.
        """
        body, encoded = route.body, route.encoded
        stores_off = self._stores_off and route.operation == "responses"
        is_ours = encoded and target.model == route.model and not stores_off
        if is_ours and output_cap is None and not route.strip_usage:
            route.encoded = b""
            return encoded, _JSON_TYPE, route.path
        if type(body) is MultipartForm:
            return *multipart.write_form(body, {"model": target.model}), route.path
        if route.free:
            return b"", "", route.path
        route.encoded = b""
        asks_usage = route.strip_usage
        cap = output_cap if route.wants_output_cap else None
        cap_name = "" if cap is None else _cap_name(route.operation, modern_cap_field)
        if is_ours:
            if cap is None and not asks_usage:
                return encoded, _JSON_TYPE, route.path
            if (cap is None or _CAPS.isdisjoint(body)) and not (asks_usage and "stream_options" in body):
                tail = _USAGE_ASKED if asks_usage else b""
                if cap is not None:
                    tail += f',"{cap_name}":{cap}'.encode()
                if len(encoded) < _PIECES_FROM_BYTES:
                    return encoded[:-1] + tail + b"}", _JSON_TYPE, route.path
                return [memoryview(encoded)[:-1], tail + b"}"], _JSON_TYPE, route.path
        edited = {**body, "model": target.model}
        if asks_usage:
            edited["stream_options"] = {**(edited.get("stream_options") or {}), "include_usage": True}
        if cap is not None:
            if route.operation != "responses":
                edited.pop("max_tokens", None)
                edited.pop("max_completion_tokens", None)
            edited[cap_name] = cap
        if stores_off:
            edited["store"] = False
        return orjson.dumps(edited), _JSON_TYPE, route.path

    def tap(self, route: Route, streaming: bool) -> UsageTap:
        """A fresh tap for one answer."""
        if not streaming:
            # Sound tells no usage: nothing of it is kept.
            return AnswerTap(route, 0) if route.path == "/audio/speech" else AnswerTap(route)
        return SoundTap(route) if route.kept is not None and route.operation == "chat" else StreamTap(route)

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        """See `refusals.error_body`."""
        return refusals.error_body(error)

    def error_event(self, error: GatewayError, operation: str, request_id: str) -> bytes:
        """See `refusals.error_event`."""
        return refusals.error_event(error, operation)

    def upstream_headers(self, api_key: str | None) -> list[tuple[str, str]]:
        """The credential; none for servers that want none."""
        return [] if api_key is None else [("Authorization", f"Bearer {api_key}")]


def _cap_name(operation: str, modern: bool) -> str:
    if operation == "responses":
        return "max_output_tokens"
    return "max_completion_tokens" if modern and operation == "chat" else "max_tokens"


def _identify_form(operation: str, path: str, body: bytes, content_type: str, named_model: str) -> Route:
    form = multipart.parse_form(body, content_type)
    refuse_model_fields(part.name for part in form.parts)
    if named_model:
        others = tuple(part for part in form.parts if part.name != "model")
        form = MultipartForm((Part("model", named_model.encode()), *others))
    model = form.read_text("model")
    if not model:
        raise BadExchange("'model' is missing: name the model to call.", code="model_missing", param="model")
    route = Route(
        operation=operation,
        path=path,
        model=model,
        body=form,
        body_bytes=len(body),
        bound=InputBound(tokens=form.text_bytes()),
    )
    _FORMS[path](form, route)
    return route
