"""The OpenAI dialect: what `core.dialect.Dialect` asks for, put together from this package's parts."""

from collections.abc import Callable
from typing import Any, ClassVar

import orjson

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.dialect import UsageTap
from gateway_proxy.core.errors import BadExchange, GatewayError
from gateway_proxy.core.route import InputBound, Route
from gateway_proxy.dialects import multipart
from gateway_proxy.dialects.multipart import MultipartForm
from gateway_proxy.dialects.openai import generation, plain, refusals
from gateway_proxy.dialects.openai.members import POLICY_MEMBERS, read_model, read_text
from gateway_proxy.dialects.openai.tap import AnswerTap, StreamTap
from gateway_proxy.dialects.strict_json import parse_object

_JSON: dict[str, Callable[[dict[str, Any], Route], None]] = {
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
_CAPS = ("max_tokens", "max_completion_tokens")


class OpenAIDialect:
    """Stateless; one instance serves everybody."""

    name: ClassVar[str] = "openai"

    def identify(self, operation: str, path: str, body: bytes, content_type: str) -> Route:
        """The route of `path` (as the client sent it, with or without `/v1`, which a base URL brings itself).

        Raises BadExchange: invalid_json, invalid_type, too_deep, model_missing, response_not_found,
        route_not_found.
        """
        path = path.removeprefix("/v1")
        if path in _FORMS and (path not in _JSON or "multipart/" in content_type[:20].lower()):
            return _identify_form(operation, path, body, content_type)
        understand = _JSON.get(path)
        if understand is None:
            raise BadExchange("There is nothing at this path.", status=404, code="route_not_found")
        value = parse_object(body, POLICY_MEMBERS)
        size = len(orjson.dumps(value))
        route = Route(
            operation=operation,
            path=path,
            model=read_model(value),
            body=value,
            body_bytes=size,
            service_tier=read_text(value, "service_tier"),
            bound=InputBound(tokens=size),
        )
        understand(value, route)
        return route

    def encode(
        self, route: Route, target: Target, output_cap: int | None, modern_cap_field: bool
    ) -> tuple[bytes, str]:
        """A copy with our edits, serialised; the route's own body stays as the client sent it."""
        if isinstance(route.body, MultipartForm):
            return multipart.write_form(route.body, {"model": target.model})
        edited = {**route.body, "model": target.model}
        if route.strip_usage:
            edited["stream_options"] = {**(edited.get("stream_options") or {}), "include_usage": True}
        if output_cap is not None and route.wants_output_cap:
            if route.operation == "responses":
                edited["max_output_tokens"] = output_cap
            else:
                modern = modern_cap_field and route.operation == "chat"
                for name in _CAPS:
                    edited.pop(name, None)
                edited[_CAPS[modern]] = output_cap
        return orjson.dumps(edited), "application/json"

    def tap(self, route: Route, streaming: bool) -> UsageTap:
        """A fresh tap for one answer."""
        return StreamTap(route) if streaming else AnswerTap(route)

    def error_body(self, error: GatewayError) -> bytes:
        """See `refusals.error_body`."""
        return refusals.error_body(error)

    def error_event(self, error: GatewayError, operation: str) -> bytes:
        """See `refusals.error_event`."""
        return refusals.error_event(error, operation)

    def upstream_headers(self, api_key: str | None) -> list[tuple[str, str]]:
        """The credential; none for servers that want none."""
        return [] if api_key is None else [("Authorization", f"Bearer {api_key}")]


def _identify_form(operation: str, path: str, body: bytes, content_type: str) -> Route:
    form = multipart.parse_form(body, content_type)
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
