"""Events in words."""

from dataclasses import replace

import pytest

from gateway_proxy.notify.text import write_text


@pytest.mark.parametrize(
    ("event_type", "data", "title", "kind"),
    [
        ("budget.threshold", {"key_name": "a", "percent": 80}, "a: 80 % of the budget is spent", "warning"),
        ("budget.exceeded", {"key_name": "a"}, "a: the budget is used up", "failure"),
        ("key.expiring", {"key_name": "a", "days": 1}, "a: the key expires in 1 day", "warning"),
        ("key.expiring", {"key_name": "a", "days": 7}, "a: the key expires in 7 days", "warning"),
        ("key.revoked", {"key_name": "a"}, "a: key revoked", "info"),
        ("key.token_minted", {"key_id": "key_1"}, "key_1: key token minted", "info"),
        ("provider.down", {"provider": "openai"}, "Provider openai is down", "failure"),
        ("provider.up", {"provider": "openai"}, "Provider openai is up again", "success"),
        ("notification.test", {}, "Test of a notification", "info"),
    ],
)
def test_titles(event, event_type: str, data: dict, title: str, kind: str) -> None:
    text = write_text(replace(event, type=event_type, data=data))
    assert (text["title"], text["kind"]) == (title, kind)


def test_the_body_tells_the_facts(event) -> None:
    text = write_text(replace(event, data={"key_name": "a", "owner": "", "changed": ["name", "owner"]}))
    assert text["body"] == f"key name: a\nchanged: name, owner\nevent: {event.id}"
