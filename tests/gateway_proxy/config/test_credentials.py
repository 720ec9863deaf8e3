"""Secrets and credential URLs: read, checked, and never shown."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway_proxy.config import credentials
from gateway_proxy.config.secrets import Secret
from gateway_proxy.config.values import LoadContext

ENVIRONMENT = {"KEY": "canary", "DSN": "postgresql://u:canary@db/g", "BAD": "canary two"}


def check(kind: Any, value: object) -> Any:
    return TypeAdapter(kind).validate_python(value, context=LoadContext(Path("/etc/gateway"), ENVIRONMENT))


def refuse(kind: Any, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        check(kind, value)
    assert "canary" not in caught.value.errors()[0]["msg"]


def test_a_reference_becomes_a_secret() -> None:
    assert check(credentials.HeaderSecret, "env:KEY") == Secret("canary")
    assert check(credentials.AnySecret, "env:BAD").reveal() == "canary two"
    assert check(credentials.OptionalSecret, "") is None


@pytest.mark.parametrize(
    "kind",
    [
        credentials.HeaderSecret,
        credentials.AnySecret,
        credentials.OptionalSecret,
        credentials.WebhookSecret,
        credentials.Pepper,
    ],
)
def test_a_literal_is_refused(kind: Any) -> None:
    refuse(kind, "canary")


def test_secrets_that_do_not_fit_are_refused() -> None:
    refuse(credentials.HeaderSecret, "env:BAD")
    refuse(credentials.WebhookSecret, "env:KEY")
    refuse(credentials.HeaderSecret, "")


def test_a_pepper_file_may_be_missing_but_not_a_variable() -> None:
    assert check(credentials.Pepper, "file:data/pepper").path == Path("/etc/gateway/data/pepper")
    assert check(credentials.Pepper, "env:KEY").place == "KEY"
    refuse(credentials.Pepper, "env:NOTHING")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("sqlite:a.db", "sqlite:/etc/gateway/a.db"),
        ("sqlite:/var/a.db", "sqlite:/var/a.db"),
        ("postgresql:///x", None),
        (
            "postgresql://u:canary@db:5432/g?sslmode=require",
            "postgresql://u:canary@db:5432/g?sslmode=require",
        ),
        ("postgresql://u@/g?host=/run/postgresql", "postgresql://u@/g?host=/run/postgresql"),
        ("postgresql:///g?host=/run/postgresql", "postgresql:///g?host=/run/postgresql"),
        ("postgresql://u@/g?host=/run/post gresql", None),
        ("env:DSN", "postgresql://u:canary@db/g"),
        ("postgres://u:canary@db/g", None),
        ("sqlite::memory:", None),
        ("sqlite:", None),
        ("sqlite:///a.db", None),
        ("mysql://canary", None),
        ("postgresql://u:can ary@db/g", None),
        ("postgresql://u:p@ss/canary@db/g", None),
    ],
)
def test_store_urls(text: str, url: str | None) -> None:
    if url is None:
        refuse(credentials.StoreUrl, text)
    else:
        assert check(credentials.StoreUrl, text).reveal() == url


def test_redis_urls() -> None:
    assert check(credentials.RedisUrl, "") is None
    for scheme in ("redis", "rediss", "valkey", "valkeys"):
        assert check(credentials.RedisUrl, f"{scheme}://:canary@r:6379/0").reveal().startswith(scheme)
    for text in ("http://canary", "redis://", "env:NOTHING"):
        refuse(credentials.RedisUrl, text)


def test_notification_urls() -> None:
    assert check(credentials.NotificationUrl, "slack://canary/B/C").reveal() == "slack://canary/B/C"
    for text in ("", "canary", "slack://a b"):
        refuse(credentials.NotificationUrl, text)


def test_dumps_show_no_value() -> None:
    for kind in (credentials.HeaderSecret, credentials.StoreUrl):
        assert TypeAdapter(kind).dump_python(Secret("canary")) == "***"
