"""Events in words, for services that people read."""

from gateway_proxy.core.ledger import EventRow

_WARNING = ("budget.threshold", "key.expiring")
_FAILURE = ("budget.exceeded", "provider.down")


def write_text(event: EventRow) -> dict[str, str]:
    """`title`, `body` and apprise's `kind` (info, success, warning, failure)."""
    facts = [
        f"{name.replace('_', ' ')}: {_show(value)}"
        for name, value in event.data.items()
        if value not in ("", None)
    ]
    kind = "info"
    if event.type in _WARNING:
        kind = "warning"
    elif event.type in _FAILURE:
        kind = "failure"
    elif event.type == "provider.up":
        kind = "success"
    return {"title": _title(event), "body": "\n".join([*facts, f"event: {event.id}"]), "kind": kind}


def _title(event: EventRow) -> str:
    data = event.data
    name = data.get("key_name") or data.get("key_id") or data.get("provider") or ""
    match event.type:
        case "budget.threshold":
            return f"{name}: {data.get('percent')} % of the budget is spent"
        case "budget.exceeded":
            return f"{name}: the budget is used up"
        case "key.expiring":
            return f"{name}: the key expires in {data.get('days')} day{'' if data.get('days') == 1 else 's'}"
        case "provider.down":
            return f"Provider {name} is down"
        case "provider.up":
            return f"Provider {name} is up again"
        case "notification.test":
            return "Test of a notification"
    noun, _, verb = event.type.partition(".")
    return f"{name}: {noun} {verb.replace('_', ' ')}".strip()


def _show(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
