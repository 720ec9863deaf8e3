"""Where a mistake stands in the form: paths of the document → fields and tabs, in words for people."""

from collections.abc import Sequence

from gateway_proxy.keys.fields import FieldError

TABS = {
    "basic": (
        "name", "owner", "expires", "requests_per_minute", "tokens_per_minute", "budget_usd", "alert_thresholds",
        "ephemeral", "ttl_seconds", "providers",
    ),
    "advanced": (
        "allowed_models", "ip_allowlist", "metadata", "endpoints", "max_parallel_requests", "budget_period",
        "budget_timezone", "shadow",
    ),
    "mcp": ("mcp_enabled", "mcp_mode", "mcp_servers", "mcp_tools"),
}  # fmt: skip
_FIELDS = {
    "expires_in": "expires",
    "expires_at": "expires",
    "allowed_providers": "providers",
    "allowed_endpoints": "endpoints",
    "mcp.enabled": "mcp_enabled",
    "mcp.access_mode": "mcp_mode",
    "mcp.servers": "mcp_servers",
    "mcp.tools": "mcp_tools",
}
_KNOWN = frozenset(name for names in TABS.values() for name in names)
_SHOWN_A_FIELD = 3
_API_WORDS = ("; null means no limit", "; leave it empty for no limit")


class FormErrors:
    """The mistakes by field; those of no field stand above the form under ""."""

    def __init__(self, errors: Sequence[FieldError] = ()) -> None:
        self._by_field: dict[str, list[str]] = {}
        for error in errors:
            messages = self._by_field.setdefault(_field_of(error.path), [])
            text = _for_people(error.message)
            if text not in messages:
                messages.append(text)

    def __bool__(self) -> bool:
        return bool(self._by_field)

    def of(self, field: str) -> list[str]:
        """What stands beside the field: the first few, and how many more there are."""
        messages = self._by_field.get(field, [])
        hidden = len(messages) - _SHOWN_A_FIELD
        return messages if hidden <= 0 else [*messages[:_SHOWN_A_FIELD], f"And {hidden} more."]

    def in_tab(self, tab: str) -> int:
        """How many fields of the tab have mistakes."""
        return sum(name in self._by_field for name in TABS[tab])

    def first_tab(self, otherwise: str) -> str:
        """The tab to open: the one at hand if it has mistakes, else the first that has."""
        if otherwise in TABS and (not self._by_field or self.in_tab(otherwise)):
            return otherwise
        return next((tab for tab in TABS if self.in_tab(tab)), "basic")


def _field_of(path: str) -> str:
    name = path.partition("[")[0]
    if name.startswith("mcp."):
        name = ".".join(name.split(".")[:2])
    field = _FIELDS.get(name, name)
    return field if field in _KNOWN else ""


def _for_people(message: str) -> str:
    text = message.replace(*_API_WORDS)
    if text.partition(" ")[0].isalpha():  # a value that leads the message stays as it is
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!")) else f"{text}."
