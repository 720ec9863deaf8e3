"""The value types of settings that are secrets, or URLs that may hold one.

Promises that a refused value never appears in the message, and an accepted one in no repr or dump. What a reference
means belongs to `secrets`.
"""

import re
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

from gateway_proxy.config.secrets import (
    Secret,
    SecretReference,
    check_header_secret,
    check_webhook_secret,
    parse_reference,
)
from gateway_proxy.config.servers import check_postgres_url, check_redis_url
from gateway_proxy.config.values import AS_TEXT, LoadContext, load_context, require_text


def resolve_secret(value: object, info: ValidationInfo) -> Secret:
    """Read the secret that an `env:NAME` or `file:PATH` names. Raises ValueError without its value."""
    context = load_context(info)
    return parse_reference(value, context.folder).read(context.environment)


def resolve_text(value: object, context: LoadContext) -> str:
    """A text that may hold a credential: as it stands, or read through `env:NAME` or `file:PATH`."""
    text = require_text(value)
    if text.startswith(("env:", "file:")):
        return parse_reference(text, context.folder).read(context.environment).reveal()
    return text


def _resolve_header_secret(value: object, info: ValidationInfo) -> Secret:
    secret = resolve_secret(value, info)
    check_header_secret(secret)
    return secret


def _resolve_header_value(value: object, info: ValidationInfo) -> Secret:
    secret = resolve_secret(value, info)
    text = secret.reveal()
    if not text.isascii() or not text.isprintable():
        raise ValueError("cannot be sent in a header: it holds characters outside ASCII; check the value")
    return secret


def _resolve_optional_secret(value: object, info: ValidationInfo) -> Secret | None:
    return None if value == "" else resolve_secret(value, info)


def _resolve_webhook_secret(value: object, info: ValidationInfo) -> Secret:
    secret = resolve_secret(value, info)
    check_webhook_secret(secret)
    return secret


def _parse_pepper(value: object, info: ValidationInfo) -> SecretReference:
    context = load_context(info)
    reference = parse_reference(value, context.folder)
    if reference.kind == "env":
        reference.read(context.environment)
    return reference


def _resolve_store_url(value: object, info: ValidationInfo) -> Secret:
    context = load_context(info)
    text = resolve_text(value, context)
    if text.startswith("sqlite:"):
        place = text[7:]
        if place in {"", ":memory:"} or "\0" in place or place.startswith("//"):
            raise ValueError("must name a file; write sqlite:PATH, for example sqlite:gateway.db")
        return Secret(f"sqlite:{context.folder / place}")
    check_postgres_url(text)
    return Secret(text)


def _resolve_redis_url(value: object, info: ValidationInfo) -> Secret | None:
    text = resolve_text(value, load_context(info))
    if not text:
        return None
    check_redis_url(text)
    return Secret(text)


def _resolve_notification_url(value: object, info: ValidationInfo) -> Secret:
    text = resolve_text(value, load_context(info))
    if not re.match(r"[a-z][a-z0-9+.-]*://[^\s]+\Z", text, re.IGNORECASE):
        raise ValueError(
            "must be the URL of a notification service; write for example mailto://user:pass@host"
        )
    return Secret(text)


_HIDDEN = PlainSerializer(lambda secret: None if secret is None else "***")
_REFERENCE = WithJsonSchema({"type": "string", "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"})
_OPTIONAL_REFERENCE = WithJsonSchema({"type": "string", "pattern": "^(|env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"})

AnySecret = Annotated[Secret, PlainValidator(resolve_secret), _HIDDEN, _REFERENCE]
HeaderSecret = Annotated[Secret, PlainValidator(_resolve_header_secret), _HIDDEN, _REFERENCE]
HeaderValue = Annotated[Secret, PlainValidator(_resolve_header_value), _HIDDEN, _REFERENCE]
OptionalSecret = Annotated[
    Secret | None, PlainValidator(_resolve_optional_secret), _HIDDEN, _OPTIONAL_REFERENCE
]
WebhookSecret = Annotated[Secret, PlainValidator(_resolve_webhook_secret), _HIDDEN, _REFERENCE]
Pepper = Annotated[SecretReference, PlainValidator(_parse_pepper), AS_TEXT, _REFERENCE]
StoreUrl = Annotated[Secret, PlainValidator(_resolve_store_url), _HIDDEN, WithJsonSchema({"type": "string"})]
RedisUrl = Annotated[
    Secret | None, PlainValidator(_resolve_redis_url), _HIDDEN, WithJsonSchema({"type": "string"})
]
NotificationUrl = Annotated[
    Secret, PlainValidator(_resolve_notification_url), _HIDDEN, WithJsonSchema({"type": "string"})
]
