"""One reader a field: takes a JSON value, returns what the record holds, and notes every mistake.

Readers know nothing of each other and do no I/O. Rules that join fields belong in `draft`.
"""

import ipaddress
import re
import unicodedata
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson

from gateway_proxy.core.key import IpNetwork
from gateway_proxy.core.money import parse_usd

ENDPOINTS = (
    "chat", "completions", "responses", "embeddings", "moderations", "images", "audio", "rerank",
    "messages", "gemini", "mcp",
)  # fmt: skip
MAX_COUNT = 1_000_000_000_000
MAX_LIST = 1000
MAX_METADATA_BYTES = 4096
MAX_METADATA_DEPTH = 32
NAME_LENGTH = 128
# Year 9999 in Unix milliseconds: the last that RFC 3339 can write.
_LATEST_MS = 253_402_300_799_999
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_TIMEZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+\-]*(/[A-Za-z0-9_+\-]+)*")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_SECRET_START = re.compile(r"gw[kae]_|sk-|Bearer ", re.IGNORECASE)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
# Controls, unpaired surrogates and line or paragraph separators have no place in a name.
_UNPRINTABLE = frozenset(("Cc", "Cs", "Zl", "Zp"))
# What reorders the text around it, so that a name can look like another one: https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class FieldError:
    """One mistake: where (`mcp.servers[0]`, empty for the whole document) and what to do about it."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


@dataclass(slots=True)
class Problems:
    """The mistakes found so far."""

    errors: list[FieldError] = field(default_factory=list)

    def add(self, path: str, message: str) -> None:
        self.errors.append(FieldError(path, message))


Reader = Callable[[object, str, Problems], Any]


def shown(value: object) -> str:
    """A value of the client's, short and harmless enough for a message; never one that may be a secret."""
    text = ascii(value) if not isinstance(value, str) else value.encode("unicode_escape").decode()
    if _SECRET_START.search(text):
        return "the value"
    return f"'{text[:60]}…'" if len(text) > 60 else f"'{text}'"


def read_label(value: object, path: str, problems: Problems) -> str:
    """A name for people: 1 to 128 characters after stripping, NFC, no controls, also none of writing direction."""
    if not isinstance(value, str):
        problems.add(path, "must be a string")
        return ""
    text = unicodedata.normalize("NFC", value.strip())
    if not text:
        problems.add(path, "must not be empty")
    elif len(text) > NAME_LENGTH:
        problems.add(path, f"is {len(text)} characters long; at most {NAME_LENGTH}")
    elif any(unicodedata.category(character) in _UNPRINTABLE for character in text):
        problems.add(path, "must not contain control characters")
    elif turns := sorted(_BIDI.intersection(text)):
        problems.add(path, f"must not contain U+{ord(turns[0]):04X}, which turns the direction of writing")
    return text


def read_owner(value: object, path: str, problems: Problems) -> str:
    """An e-mail address, or `local`."""
    if not isinstance(value, str):
        problems.add(path, "must be an e-mail address")
        return ""
    text = value.strip()
    name, at, host = text.rpartition("@")
    blank = any(c.isspace() or unicodedata.category(c) in _UNPRINTABLE for c in text)
    if text != "local" and (not at or not name or not host or blank or len(text) > 254):
        problems.add(path, "must be an e-mail address such as ada@example.com, or 'local'")
    return text


def read_count(value: object, path: str, problems: Problems) -> int:
    """A whole number, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int):
        problems.add(path, "must be a whole number; null means no limit")
        return 0
    if not 0 <= value <= MAX_COUNT:
        problems.add(path, f"must be between 0 and {MAX_COUNT}")
    return value


def read_usd(value: object, path: str, problems: Problems) -> int:
    """Nano-USD of a decimal string or a whole number."""
    if isinstance(value, float):
        problems.add(path, 'must be a string such as "25.00" or a whole number: a float is not exact')
        return 0
    try:
        return parse_usd(value)  # type: ignore[arg-type]  # it refuses every other type itself
    except ValueError as error:
        problems.add(path, str(error))
        return 0


def read_flag(value: object, path: str, problems: Problems) -> bool:
    if not isinstance(value, bool):
        problems.add(path, "must be true or false")
    return value is True


def choice_reader(choices: type[StrEnum]) -> Reader:
    """A reader for one of the names of an enumeration."""

    def read(value: object, path: str, problems: Problems) -> StrEnum | None:
        if isinstance(value, str) and value in [choice.value for choice in choices]:
            return choices(value)
        problems.add(path, f"{shown(value)} is unknown; use one of {', '.join(choices)}")
        return None

    return read


def read_timezone(value: object, path: str, problems: Problems) -> str:
    """An IANA time zone name that this machine knows."""
    if value == "UTC":
        return "UTC"  # known even where no time zone database is installed
    if isinstance(value, str) and len(value) <= 64 and _TIMEZONE.fullmatch(value) and _is_timezone(value):
        return value
    problems.add(path, f"{shown(value)} is not a known time zone; use a name such as UTC or Europe/Berlin")
    return ""


def _is_timezone(name: str) -> bool:
    # These live beside the zones in the database but are none that a calendar day can be taken from.
    if name == "localtime" or name.startswith(("posix/", "right/")):
        return False
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # a folder is an OSError
        return False
    return True


def read_time(value: object, path: str, problems: Problems) -> int:
    """Unix milliseconds of an RFC 3339 date-time (section 5.6), fractions below a millisecond cut off."""
    text = value.upper() if isinstance(value, str) else ""
    try:
        if not _RFC_3339.fullmatch(text):
            raise ValueError
        moment = datetime.fromisoformat(text)
        at = int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000
    except (ValueError, OverflowError):
        problems.add(path, f"{shown(value)} is not a time; write it as 2030-12-31T23:59:59Z")
        return _LATEST_MS
    return min(at, _LATEST_MS)


def read_thresholds(value: object, path: str, problems: Problems) -> tuple[int, ...]:
    """Percentages from 1 to 100, sorted, each once."""
    found = set()
    for index, item in enumerate(_items(value, path, problems)):
        if isinstance(item, bool) or not isinstance(item, int) or not 1 <= item <= 100:
            problems.add(f"{path}[{index}]", f"{shown(item)} is no whole number of percent between 1 and 100")
        else:
            found.add(item)
    return tuple(sorted(found))


def read_word(value: object, path: str, problems: Problems) -> str:
    """A model's or tool's name: NFC, no blanks or controls, at most 128 characters."""
    if not isinstance(value, str):
        problems.add(path, "must be a string")
        return ""
    text = unicodedata.normalize("NFC", value)
    if not 1 <= len(text) <= NAME_LENGTH:
        problems.add(path, f"must be 1 to {NAME_LENGTH} characters long")
    elif any(c.isspace() or unicodedata.category(c) in _UNPRINTABLE for c in text):
        problems.add(path, f"{shown(text)} must not contain blanks or control characters")
    return text


def read_model(value: object, path: str, problems: Problems) -> str:
    """An exact model name, or a prefix and a final `*`."""
    text = read_word(value, path, problems)
    if "*" in text[:-1]:
        problems.add(path, f"{shown(text)}: a '*' may only stand at the end")
    return text


def read_provider(value: object, path: str, problems: Problems) -> str:
    """The name of a provider or MCP server."""
    if isinstance(value, str) and _PROVIDER.fullmatch(value):
        return value
    problems.add(path, f"{shown(value)} is not a name; use 1 to 32 of a-z, 0-9 and '-', the first no '-'")
    return ""


def read_endpoint(value: object, path: str, problems: Problems) -> str:
    if isinstance(value, str) and value in ENDPOINTS:
        return value
    problems.add(path, f"{shown(value)} is unknown; use any of {', '.join(ENDPOINTS)}")
    return ""


def read_network(value: object, path: str, problems: Problems) -> str:
    """An address or CIDR in its canonical text; IPv4-mapped IPv6 becomes IPv4."""
    try:
        if not isinstance(value, str) or "%" in value:
            raise ValueError
        text = value.strip()
        network = _unmapped(ipaddress.ip_network(text, strict=False))
        exact = _unmapped(ipaddress.ip_network(text)) if _is_exact(text) else None
    except ValueError:
        problems.add(
            path, f"{shown(value)} is not an address or CIDR such as 192.168.1.0/24 or 2001:db8::/32"
        )
        return ""
    if exact is None:
        problems.add(path, f"{shown(value)} has bits set beyond its prefix; write {_network_text(network)}")
    return _network_text(network)


def _is_exact(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _unmapped(network: IpNetwork) -> IpNetwork:
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        low = int(network.network_address) & 0xFFFFFFFF
        return ipaddress.IPv4Network((low, network.prefixlen - 96))
    return network


def _network_text(network: IpNetwork) -> str:
    whole = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if whole else str(network)


def list_reader(read: Reader) -> Reader:
    """A reader for a list of such values, each kept once, in the order given."""

    def read_list(value: object, path: str, problems: Problems) -> tuple[str, ...]:
        items = enumerate(_items(value, path, problems))
        return tuple(dict.fromkeys(read(item, f"{path}[{index}]", problems) for index, item in items))

    return read_list


def _items(value: object, path: str, problems: Problems) -> list[object]:
    if not isinstance(value, list):
        problems.add(path, "must be a list")
        return []
    if len(value) > MAX_LIST:
        problems.add(path, f"has {len(value)} entries; at most {MAX_LIST}")
        return []
    return value


def read_metadata(value: object, path: str, problems: Problems) -> dict[str, Any]:
    """A JSON object of at most 4 KiB in its compact form."""
    if not isinstance(value, dict):
        problems.add(path, "must be a JSON object")
        return {}
    if _depth(value) > MAX_METADATA_DEPTH:
        problems.add(path, f"is nested more than {MAX_METADATA_DEPTH} levels deep")
        return {}
    try:
        size = len(orjson.dumps(value))
        # orjson writes NaN as null: what is stored would not be what was sent.
        if orjson.loads(orjson.dumps(value)) != value:
            raise ValueError
    except (TypeError, ValueError):
        problems.add(path, "holds a number or a character that JSON cannot carry faithfully")
        return {}
    if size > MAX_METADATA_BYTES:
        problems.add(path, f"takes {size} bytes as JSON; at most {MAX_METADATA_BYTES}")
    return value


def _depth(value: object) -> int:
    depth, layer = 0, [value]
    while layer and depth <= MAX_METADATA_DEPTH:
        children: list[object] = []
        for item in layer:
            if isinstance(item, dict):
                children.extend(item.values())
            elif isinstance(item, list):
                children.extend(item)
        depth, layer = depth + 1, children
    return depth
