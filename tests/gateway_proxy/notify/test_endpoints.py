"""Endpoints from the settings: who wants what, and ids and names that tell no secret."""

import pytest

from gateway_proxy.config.model import Config, Notifications
from gateway_proxy.config.values import LoadContext
from gateway_proxy.notify.endpoints import list_endpoints, matches

from .conftest import SECRET


def settings(*urls: str, services: tuple[str, ...] = ()) -> Notifications:
    document = {
        "notifications": {
            "urls": list(services),
            "webhooks": [{"url": url, "secret": "env:HOOK"} for url in urls],
        }
    }
    context = LoadContext(environment={"HOOK": SECRET})
    return Config.model_validate(document, context=context).notifications


@pytest.mark.parametrize(
    ("pattern", "event_type", "expected"),
    [
        ("*", "anything.at_all", True),
        ("budget.*", "budget.exceeded", True),
        ("budget.*", "budgets.exceeded", False),
        ("key.revoked", "key.revoked", True),
        ("key.revoked", "key.revoked_too", False),
    ],
)
def test_patterns(pattern: str, event_type: str, expected: bool) -> None:
    assert matches(pattern, event_type) is expected


def test_webhooks_want_budgets_and_keys_and_services_everything() -> None:
    hook, service = list_endpoints(settings("https://a.example/hook", services=("json://b.example",)), b"p")
    assert (hook.kind, service.kind) == ("webhook", "service")
    assert hook.wants("budget.threshold") and hook.wants("key.created") and not hook.wants("provider.down")
    assert service.wants("provider.down")


def test_ids_follow_from_the_url_and_differ() -> None:
    one = list_endpoints(settings("https://a/x", "https://a/y", "https://a/x"), b"p")
    assert len({endpoint.id for endpoint in one}) == 3
    again = list_endpoints(settings("https://a/y", "https://a/x"), b"p")
    assert {endpoint.id for endpoint in again} == {one[0].id, one[1].id}
    assert list_endpoints(settings("https://a/x"), b"other")[0].id != one[0].id


def test_nothing_secret_is_shown() -> None:
    found = list_endpoints(
        settings("https://a.example:8443/hook?token=t0ken", services=("mailto://me:pass@mail",)),
        b"p",
    )
    assert [endpoint.shown for endpoint in found] == ["https://a.example:8443/hook", "mailto://…"]
    for endpoint in found:
        assert "pass" not in repr(endpoint) and "t0ken" not in repr(endpoint) and SECRET not in repr(endpoint)
