"""Texts for the members of a key, as command-line flags and CSV cells write them: to JSON and back.

Only the shape is made here (a number, a list, an object); whether the value is right is for the draft.
An empty list is written `none`, since an empty text means that nothing was said.
"""

import json
import re
from typing import Any

COUNTS = ("requests_per_minute", "tokens_per_minute", "burst", "max_parallel_requests")
LISTS = ("allowed_providers", "allowed_models", "allowed_endpoints", "ip_allowlist")
NUMBERS = ("alert_thresholds",)
OBJECTS = ("metadata", "mcp")
FLAGS = ("strict", "shadow")
_WHOLE = re.compile(r"-?[0-9]{1,30}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def read_cell(member: str, text: str) -> Any:
    """The JSON value that a text stands for. Raises ValueError with what to write instead."""
    text = text.strip()
    if member in COUNTS:
        return read_whole(text)
    if member in LISTS:
        return read_names(text)
    if member in NUMBERS:
        return [read_whole(item) for item in read_names(text)]
    if member in OBJECTS:
        return read_object(text)
    if member in FLAGS:
        return read_boolean(text)
    return text


def read_whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError("is not a whole number")
    return int(text)


def read_names(text: str) -> list[str]:
    """The items between commas, or of a JSON list as the dashboard's files have it; `none` is the empty list."""
    if text == "none":
        return []
    if text.startswith("[") and (listed := _read_list(text)) is not None:
        return listed
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        raise ValueError("has an empty entry; write a,b or none")
    return items


def _read_list(text: str) -> list[str] | None:
    """None for what is no JSON list of texts and whole numbers: a name may begin with a bracket."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list) or not all(type(item) in (str, int) for item in value):
        return None
    return [str(item) for item in value]


def read_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError('is not JSON; write an object such as {"team":"backend"}') from None
    if not isinstance(value, dict):
        raise ValueError('is not a JSON object; write one such as {"team":"backend"}')
    return value


def read_boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("is neither true nor false")
    return text == "true"


def read_expiry(text: str) -> dict[str, str]:
    """`never`, a span, a date (its first moment in UTC) or a date-time, as the member of a draft."""
    if _DATE.fullmatch(text):
        return {"expires_at": f"{text}T00:00:00Z"}
    return {"expires_at": text} if text[:1].isdigit() and "T" in text.upper() else {"expires_in": text}


def read_tools(text: str) -> dict[str, list[str]]:
    """`server/tool,server/tool` by server; `server/none` allows none of a server's tools."""
    tools: dict[str, list[str]] = {}
    for item in read_names(text):
        server, slash, tool = item.partition("/")
        if not slash or not server or not tool:
            raise ValueError("is not of the form server/tool,server/tool")
        named = tools.setdefault(server, [])
        if tool != "none":
            named.append(tool)
    return tools


def write_cell(value: Any) -> str:
    """The text that `read_cell` turns back into the value; null is the empty text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        joined = ",".join(str(item) for item in value) or "none"
        return json.dumps(value, ensure_ascii=False) if joined.startswith("[") else joined
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value)
