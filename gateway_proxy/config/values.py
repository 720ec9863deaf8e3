"""The value types of the settings: names, addresses, networks, URLs, paths and money.

Promises that each refuses what it does not understand with a message that says what to write instead. Values that
are or hold secrets belong to `credentials`; which setting has which type belongs to `model` and `routing`.
"""

import ipaddress
import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    ValidationInfo,
    WithJsonSchema,
)

MAX_USD = Decimal(1_000_000)
"""No price is higher; nano-USD amounts then stay far inside 64 bits."""

_SERVER_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")
PLUGIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\Z")
# What is ever sent; a pattern that fits none of it is a slip that nobody would notice.
_EVENTS = {
    "budget": "threshold|exceeded",
    "key": "created|updated|rotated|deactivated|activated|revoked|deleted|expiring",
    "provider": "down|up",
    "notification": "test",
}
_EVENT_PATTERN = re.compile(
    rf"(\*|{'|'.join(rf'{group}[.]([*]|{acts})' for group, acts in _EVENTS.items())})\Z"
)
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?\Z")
_PORT = re.compile(r"[0-9]{1,5}\Z")
_USD = re.compile(r"[0-9]{1,12}(\.[0-9]{1,40})?\Z")


@dataclass(frozen=True)
class LoadContext:
    """What values are resolved against: the folder of relative paths, and the environment of `env:NAME`."""

    folder: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)


T = TypeVar("T")


class Section(BaseModel):
    """A table of the file: immutable, exact types only, no unknown keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, defer_build=True
    )


def setting(default: Any, description: str, **options: Any) -> Any:
    """A setting with its default as it would be written in TOML; `...` makes it required."""
    if default is ...:
        return Field(description=description, **options)
    return Field(default, description=description, validate_default=True, **options)


class Address(NamedTuple):
    """A host (IPv6 without brackets) and a port, 0 for any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def load_context(info: ValidationInfo) -> LoadContext:
    return info.context if isinstance(info.context, LoadContext) else LoadContext()


def require_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError('must be text; write it in quotes ("…")')
    return value


def _require_item(items: tuple[T, ...]) -> tuple[T, ...]:
    if not items:
        raise ValueError("must not be empty; write at least one item")
    return items


def _check_command(command: tuple[str, ...]) -> tuple[str, ...]:
    if command and not command[0]:
        raise ValueError('must begin with a program; write ["program", "argument"]')
    if any("\0" in part for part in command):
        raise ValueError("must hold no NUL characters; remove them")
    return command


def _check_server_name(name: str) -> str:
    if not _SERVER_NAME.match(name):
        raise ValueError("must be 1 to 32 lower-case letters, digits or -, the first no -; rename it")
    return name


def _check_name(name: str) -> str:
    if not 1 <= len(name) <= 128:
        raise ValueError("must have 1 to 128 characters")
    if any(unicodedata.category(character)[0] in "ZC" for character in name):
        raise ValueError("must hold no blanks, controls or invisible characters; remove them")
    if not unicodedata.is_normalized("NFC", name):
        raise ValueError(f'must be in Unicode normal form C; write "{unicodedata.normalize("NFC", name)}"')
    return name


def _check_pattern(pattern: re.Pattern[str], advice: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.match(value):
            raise ValueError(advice)
        return value

    return AfterValidator(check)


def _is_host(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return bool(_HOST_NAME.match(host)) and not host.replace(".", "").isdigit()


def _parse_address(value: object) -> Address:
    text = require_text(value)
    host, separator, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        valid = ":" in host and _is_host(host)
    elif ":" in host:
        raise ValueError("must have an IPv6 address in brackets; write [::1]:8080")
    else:
        valid = _is_host(host)
    if not separator or not valid or not _PORT.match(port) or int(port) > 65535:
        raise ValueError(
            "must be host:port; write for example 127.0.0.1:8080, or 0.0.0.0:8080 for all interfaces"
        )
    return Address(host, int(port))


def _parse_optional_address(value: object) -> Address | None:
    return None if value == "" else _parse_address(value)


def _parse_network(value: object) -> IPv4Network | IPv6Network:
    text = require_text(value)
    try:
        if not re.fullmatch(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?", text):
            raise ValueError
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("must be an address or a network; write for example 10.0.0.0/8") from None
    if "/" in text and network.network_address != ipaddress.ip_address(text.partition("/")[0]):
        raise ValueError(f"has bits set beyond its prefix; write {network}")
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - 96))
    return network


def split_url(text: str, schemes: tuple[str, ...]) -> SplitResult:
    """The parts of a plain URL. Raises ValueError that repeats no part of it, since any may be a credential."""
    example = f"{schemes[-1]}://host.example.com"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"must be a valid URL; write for example {example}") from None
    if parts.scheme not in schemes or not host or port == 0:
        raise ValueError(
            f"must be a URL that starts with {' or '.join(f'{s}://' for s in schemes)} and names a host"
        )
    if not text.isascii() or any(character <= " " or character in '\x7f"<>\\^`{|}' for character in text):
        raise ValueError("must be a URL without blanks or special characters; percent-encode them")
    return parts


def _check_web_url(text: str) -> str:
    parts = split_url(text, ("http", "https"))
    if "@" in parts.netloc:
        raise ValueError("must hold no user name or password; use the setting for the credential")
    if "#" in text:
        raise ValueError("must hold no fragment; remove everything from # on")
    return text


def _check_base_url(text: str) -> str:
    _check_web_url(text)
    if "?" in text:
        raise ValueError("must hold no query; remove everything from ? on")
    return text.rstrip("/")


def _check_optional_base_url(text: str) -> str:
    return _check_base_url(text) if text else ""


def _check_origin(text: str) -> str:
    if text == "*":
        return text
    parts = split_url(_check_web_url(text), ("http", "https"))
    if parts.path or "?" in text:
        raise ValueError("must be an origin without path; write for example https://app.example.com")
    return text.lower()


def _check_host(text: str) -> str:
    """`host` or `host:port` as a Host header has it, lower-cased."""
    host, separator, port = text.rpartition(":")
    if not separator or "]" in port:
        host, port = text, "1"
    bracketed = host.startswith("[") and host.endswith("]")
    if not _is_host(host[1:-1] if bracketed else host) or (":" in host) != bracketed or not _PORT.match(port):
        raise ValueError("must be a host as the browser shows it; write for example gateway.example.com")
    return text.lower()


def _resolve_path(value: object, info: ValidationInfo) -> Path:
    text = require_text(value)
    if not text or "\0" in text:
        raise ValueError("must be a path; write one, relative to this file's folder or absolute")
    return load_context(info).folder / text


def _resolve_optional_file(value: object, info: ValidationInfo) -> Path | None:
    if value == "":
        return None
    path = _resolve_path(value, info)
    if not path.is_file():
        raise ValueError(f"file {path} does not exist; write the path of the PEM file")
    return path


def _resolve_optional_folder(value: object, info: ValidationInfo) -> Path:
    if value == "":
        return load_context(info).folder
    path = _resolve_path(value, info)
    if not path.is_dir():
        raise ValueError(f"folder {path} does not exist; write the path of a folder")
    return path


def _parse_usd(value: object) -> Decimal:
    """Whole nano-USD as Decimal; a TOML float counts as the digits that were written."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("must be an amount of USD; write for example 2.50")
    try:
        finite = isinstance(value, str) or Decimal(value).is_finite()
        text = format(Decimal(str(value)), "f") if finite and not isinstance(value, str) else str(value)
    except ArithmeticError:
        text = ""
    if text == "-0" or (text.startswith("-0.") and not text.strip("-0.")):
        text = text[1:]
    if not _USD.match(text):
        raise ValueError("must be an amount of USD that is not negative; write for example 2.50")
    amount = Decimal(text)
    if amount > MAX_USD:
        raise ValueError(f"must be at most {MAX_USD} USD")
    if amount != round(amount, 9):
        raise ValueError("must have at most 9 decimals (nano-USD)")
    return amount


AS_TEXT = PlainSerializer(lambda value: None if value is None else str(value))
_USD_SCHEMA = WithJsonSchema(
    {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}]}
)

Items = Annotated[tuple[T, ...], Strict(False)]
"""A TOML list, kept as a tuple; its items stay strict."""
Command = Annotated[Items[str], AfterValidator(_check_command)]
VariableName = Annotated[
    str,
    _check_pattern(
        re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z"), "must be a variable's name: letters, digits and _"
    ),
]
HeaderName = Annotated[
    str,
    _check_pattern(
        re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z"), "must be a header's name, such as authorization"
    ),
]
AtLeastOne = Annotated[Items[T], AfterValidator(_require_item)]

ServerName = Annotated[
    str,
    AfterValidator(_check_server_name),
    WithJsonSchema({"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,31}$"}),
]
Name = Annotated[
    str, AfterValidator(_check_name), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 128})
]
OptionalName = Annotated[str, AfterValidator(lambda name: name and _check_name(name))]
PluginName = Annotated[
    str, _check_pattern(PLUGIN_NAME, "must be the name of a plugin or a stage; write letters, digits, _ . -")
]
DialectName = Annotated[
    PluginName,
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["openai", "anthropic", "gemini", "azure"]},
                {"type": "string", "pattern": PLUGIN_NAME.pattern[:-2] + "$"},
            ]
        }
    ),
]
EventPattern = Annotated[
    str,
    _check_pattern(
        _EVENT_PATTERN,
        'must be an event or a group of them; write for example "budget.*", "key.*" or "provider.down"',
    ),
]
ListenAddress = Annotated[
    Address, PlainValidator(_parse_address), AS_TEXT, WithJsonSchema({"type": "string"})
]
OptionalAddress = Annotated[
    Address | None, PlainValidator(_parse_optional_address), AS_TEXT, WithJsonSchema({"type": "string"})
]
Network = Annotated[
    IPv4Network | IPv6Network, PlainValidator(_parse_network), AS_TEXT, WithJsonSchema({"type": "string"})
]
WebUrl = Annotated[str, AfterValidator(_check_web_url), WithJsonSchema({"type": "string", "format": "uri"})]
BaseUrl = Annotated[str, AfterValidator(_check_optional_base_url)]
Origin = Annotated[str, AfterValidator(_check_origin)]
Host = Annotated[str, AfterValidator(_check_host)]
FolderPath = Annotated[Path, PlainValidator(_resolve_path), AS_TEXT, WithJsonSchema({"type": "string"})]
OptionalFile = Annotated[
    Path | None, PlainValidator(_resolve_optional_file), AS_TEXT, WithJsonSchema({"type": "string"})
]
OptionalFolder = Annotated[
    Path, PlainValidator(_resolve_optional_folder), AS_TEXT, WithJsonSchema({"type": "string"})
]
Usd = Annotated[Decimal, PlainValidator(_parse_usd), AS_TEXT, _USD_SCHEMA]
Seconds = Annotated[float, Field(gt=0, le=604_800, allow_inf_nan=False)]
