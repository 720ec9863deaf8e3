"""Reads the JSON documents of members, tokens and organizations: every mistake at once, by its path."""

import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.keys.draft import DAY_MS, EXPIRES_IN_DAYS
from gateway_proxy.keys.fields import FieldError, Problems, choice_reader, read_label, read_time, shown

_read_role = choice_reader(Role)


def read_document(document: object, known: Collection[str], problems: Problems) -> Mapping[str, Any]:
    """The document if it is an object, else an empty one; unknown members are mistakes."""
    if not isinstance(document, Mapping):
        problems.add("", "must be a JSON object")
        return {}
    for member in document:
        if member not in known:
            problems.add(str(member)[:64].encode("unicode_escape").decode(), "is unknown")
    return document


def finish(problems: Problems) -> None:
    """Raises Invalid if there was any mistake."""
    if problems.errors:
        raise Invalid(problems.errors)


def refuse(path: str, message: str) -> Invalid:
    """One mistake."""
    return Invalid([FieldError(path, message)])


def normalise_email(text: str) -> str:
    """The one form in which an e-mail address is stored and compared."""
    return unicodedata.normalize("NFC", text.strip()).lower()


def read_email(value: object, path: str, problems: Problems) -> str:
    """An e-mail address, normalised. Whether it exists only a message to it could tell."""
    if not isinstance(value, str):
        problems.add(path, "must be an e-mail address")
        return ""
    text = normalise_email(value)
    name, at, host = text.rpartition("@")
    odd = any(c.isspace() or unicodedata.category(c)[0] == "C" or c in '<>"(),;:\\' for c in text)
    if not (at and name and host) or "@" in name or odd or len(text) > 254 or host.startswith("."):
        problems.add(path, "must be an e-mail address such as ada@example.com")
    return text


def read_role(value: object, path: str, problems: Problems) -> Role:
    """One of the four roles."""
    if value is None:
        problems.add(path, f"is required; use one of {', '.join(role.value for role in Role)}")
        return Role.VIEWER
    role = _read_role(value, path, problems)
    return role if isinstance(role, Role) else Role.VIEWER


def read_name(value: object, path: str, problems: Problems) -> str:
    """A name for people; empty where none is given."""
    return "" if value is None or value == "" else read_label(value, path, problems)


def read_expiry(document: Mapping[str, Any], now_ms: int, problems: Problems) -> int | None:
    """`expires_in` or `expires_at` as Unix milliseconds, None for never. One of them must be there."""
    span, moment = document.get("expires_in"), document.get("expires_at")
    if span is not None and moment is not None:
        problems.add("expires_at", "cannot stand together with expires_in; send one of them")
    elif span is not None:
        if span == "never":
            return None
        if isinstance(span, str) and span in EXPIRES_IN_DAYS:
            return now_ms + EXPIRES_IN_DAYS[span] * DAY_MS
        choices = ", ".join(("never", *EXPIRES_IN_DAYS))
        problems.add("expires_in", f"{shown(span)} is unknown; use one of {choices}, or expires_at")
    elif moment is not None:
        at = read_time(moment, "expires_at", problems)
        if at <= now_ms:
            problems.add("expires_at", f"{shown(moment)} is in the past")
        return at
    else:
        problems.add("expires_in", "is required; use never, 30d, 60d, 90d, 180d, 1y, or expires_at")
    return None
