"""Mistakes between tables are found, even beside mistakes inside them."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.config.contradictions import find_contradictions
from gateway_proxy.config.values import LoadContext

CONTEXT = LoadContext(Path("/etc/gateway"), {"DSN": "postgresql://db/g"})


def found(data: dict[str, Any]) -> dict[tuple[str | int, ...], str]:
    return dict(find_contradictions(data, CONTEXT))


def test_settings_that_agree_have_none() -> None:
    assert not found({})
    assert not found(
        {"providers": [{"name": "a"}], "models": [{"name": "a", "targets": [{"provider": "a"}]}]}
    )


@pytest.mark.parametrize("keys", [("providers",), ("models",), ("mcp", "servers")])
def test_a_name_may_be_used_once(keys: tuple[str, ...]) -> None:
    tables: Any = [{"name": "a", "url": "u"}, {"name": "b", "url": "u"}, {"name": "a", "url": "u"}]
    for key in reversed(keys):
        tables = {key: tables}
    assert f"{'.'.join(keys)}[0]" in found(tables)[*keys, 2, "name"]


def test_two_listeners_need_two_addresses() -> None:
    same = {"listen": "127.0.0.1:9000", "admin_listen": "127.0.0.1:9000"}
    assert "write another port" in found({"server": same})["server", "admin_listen"]
    assert ("server", "admin_listen") in found({"server": {"admin_listen": "127.0.0.1:8080"}})
    assert not found({"server": {"listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0"}})
    assert found({"server": {"listen": "0.0.0.0:80", "admin_listen": "127.0.0.1:80"}})
    assert not found({"server": {"listen": "0.0.0.0:80", "admin_listen": "[::1]:80"}})
    assert not found({"server": {"listen": "127.0.0.2:80", "admin_listen": "127.0.0.1:80"}})


def test_a_certificate_must_be_one(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("no PEM")
    tls = {"server": {"tls": {"cert": "cert.pem", "key": "key.pem"}}}
    wrong = dict(find_contradictions(tls, LoadContext(tmp_path, {})))
    assert "are not a certificate" in wrong["server", "tls", "cert"]


def test_a_target_needs_its_provider() -> None:
    models = [{"name": "m", "targets": [{"provider": "b"}]}]
    path = ("models", 0, "targets", 0, "provider")
    assert (
        "write one of: a, c;" in found({"providers": [{"name": "a"}, {"name": "c"}], "models": models})[path]
    )
    assert "none is configured" in found({"models": models})[path]


@pytest.mark.parametrize(
    ("tiers", "members", "mistaken"),
    [
        ([None, None], {"sticky": ["key"]}, ["sticky"]),
        ([1, 2], {"choose": "latency", "sticky": ["key"]}, ["sticky", "choose"]),
        ([1, 2, 2], {"choose": "latency"}, []),
        ([None], {"sticky": ["key"]}, []),
        ([1, 2], {"choose": "weight", "sticky": []}, []),
    ],
)
def test_a_choice_needs_a_tier(tiers: list[int | None], members: dict[str, Any], mistaken: list[str]) -> None:
    targets = [{"provider": "a"} | ({} if tier is None else {"tier": tier}) for tier in tiers]
    models = [{"name": "m", "targets": targets, **members}]
    assert [path[-1] for path in found({"providers": [{"name": "a"}], "models": models})] == mistaken


@pytest.mark.parametrize(
    ("storage", "shared", "needs"),
    [
        ({}, {}, ["storage.url", "shared.redis_url"]),
        ({"url": "env:DSN"}, {}, ["shared.redis_url"]),
        ({"url": "sqlite:a"}, {"redis_url": "redis://r"}, ["storage.url"]),
        ({"url": "postgresql://db/g"}, {"redis_url": "redis://r"}, []),
        ({"url": "env:NOTHING"}, {}, []),
    ],
)
def test_workers_need_shared_stores(
    storage: dict[str, Any], shared: dict[str, Any], needs: list[str]
) -> None:
    message = found({"server": {"workers": 2}, "storage": storage, "shared": shared}).get(
        ("server", "workers"), ""
    )
    assert [name for name in ("storage.url", "shared.redis_url") if name in message] == needs
    assert not found({"server": {"workers": 1}})


def test_pairs_come_together() -> None:
    assert "key" in found({"server": {"tls": {"cert": "c"}}})["server", "tls", "cert"]
    assert "issuer" in found({"dashboard": {"oidc": {"client_id": "c"}}})["dashboard", "oidc", "client_id"]


def test_strict_staleness_is_the_shorter_one() -> None:
    path = ("gateway", "strict_staleness_seconds")
    assert "at most 10" in found({"gateway": {"max_staleness_seconds": 10}})[path]
    assert path in found({"gateway": {"strict_staleness_seconds": 901}})


@pytest.mark.parametrize(
    ("server", "path"),
    [
        ({}, ()),
        ({"url": "", "command": []}, ()),
        ({"url": "u", "command": ["c"]}, ()),
        ({"url": "u", "env": {"A": "b"}}, ("env",)),
        ({"url": "u", "cwd": "b"}, ("cwd",)),
        ({"command": ["c"], "auth": {"bearer": "b"}}, ("auth",)),
        ({"command": ["c"], "allow_private": True}, ("allow_private",)),
        ({"url": "u", "auth": {"bearer": "b", "basic": {}}}, ("auth",)),
        ({"url": "http://127.0.0.1/mcp"}, ("url",)),
        ({"url": "http://[::1]:80/mcp"}, ("url",)),
        ({"url": "http://db.localhost/mcp"}, ("url",)),
        ({"url": "u", "auth": {"oauth2": {"token_url": "http://10.0.0.1"}}}, ("auth", "oauth2", "token_url")),
    ],
)
def test_an_mcp_server_is_a_url_or_a_command(server: dict[str, Any], path: tuple[str, ...]) -> None:
    assert list(found({"mcp": {"servers": [server]}})) == [("mcp", "servers", 0, *path)]


def test_an_mcp_server_may_be_near_if_that_is_meant() -> None:
    assert not found({"mcp": {"servers": [{"url": "http://127.0.0.1/mcp", "allow_private": True}]}})
    assert not found({"mcp": {"servers": [{"url": "https://mcp.example.com"}, {"url": "http://["}]}})


def test_wrong_types_are_left_to_the_models() -> None:
    wrong: Any
    for wrong in (5, "x", [5], {"a": 5}, None, [{"name": 5, "targets": 5}], [{"targets": [{"provider": 5}]}]):
        assert not found(
            {"providers": wrong, "models": wrong, "server": wrong, "gateway": wrong, "dashboard": wrong}
        )
        assert not found({"mcp": {"servers": 5}, "server": {"workers": "2", "tls": wrong}})


def test_traces_need_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    place, traces = ("telemetry", "traces"), {"telemetry": {"traces": True}}
    assert not found(traces)
    for missing in (lambda name: None, _raise_missing):
        monkeypatch.setattr(importlib.util, "find_spec", missing)
        assert "pip install 'gateway-proxy[otel]'" in found(traces)[place]
        assert not found({"telemetry": {"traces": False}})


def _raise_missing(name: str) -> None:
    raise ModuleNotFoundError(name)
