"""Every route that dispatches upstream goes through the same checks: taken from the route table itself."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway_proxy.proxy.routes import DataRoute, list_routes
from tests.support.client import CHAT
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway, provider_toml
from tests.support.mcp_server import McpServer, serve_in_thread, server_toml
from tests.support.money import model_toml
from tests.support.raw import RawAnswer, make_request, send

# What asks for a stored response needs one first: see test_stateful.
EVERY = [route for route in list_routes() if route.operation is not None and "{id}" not in route.path]
MCP = [route for route in EVERY if route.operation == "mcp"]
DISPATCHING = [route for route in EVERY if route not in MCP]
_FORMS = ("/v1/images/edits", "/v1/images/variations", "/v1/audio/transcriptions", "/v1/audio/translations")
_BODIES = {
    "chat": '{"model":"%s","messages":[{"role":"user","content":"hi"}],"max_tokens":5}',
    "completions": '{"model":"%s","prompt":"hi","max_tokens":5}',
    "responses": '{"model":"%s","input":"hi","max_output_tokens":20}',
    "embeddings": '{"model":"%s","input":"hi"}',
    "moderations": '{"model":"%s","input":"hi"}',
    "images": '{"model":"%s","prompt":"a cat"}',
    "audio": '{"model":"%s","input":"hi","voice":"alloy"}',
    "rerank": '{"model":"%s","query":"hi","documents":["a","b"]}',
    "messages": '{"model":"%s","messages":[{"role":"user","content":"hi"}],"max_tokens":5}',
    "gemini": '{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":5}}',
}
_EMBEDDING = '{"content":{"parts":[{"text":"hi"}]}}'
# By dialect: what a provider that speaks it is called, and the model that it serves.
_MODELS = {"openai": "chat", "azure": "chat", "anthropic": "claude", "gemini": "gem"}


def request_for(route: DataRoute, secret: str, model: str = "") -> bytes:
    """A request that the route would serve."""
    model = model or _MODELS[route.dialect]
    head = f"POST {route.path.replace('{model}', model)} HTTP/1.1".encode()
    if route.path in _FORMS:
        file = 'name="image"; filename="a.png"' if "images" in route.path else 'name="file"; filename="a.wav"'
        body = (
            f'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n{model}\r\n'
            f"--b\r\nContent-Disposition: form-data; {file}\r\n\r\n0123\r\n--b--\r\n"
        )
        return make_request(
            secret,
            line=head,
            body=body.encode(),
            headers=b"Content-Type: multipart/form-data; boundary=b\r\n",
        )
    assert route.operation is not None
    body = _EMBEDDING if "mbedContent" in route.path else _BODIES[route.operation]
    return make_request(secret, line=head, body=body.replace("%s", model).encode())


@pytest.fixture(scope="module")
def tools() -> Iterator[McpServer]:
    with serve_in_thread(McpServer()) as (server,):
        yield server


@pytest.fixture(scope="module")
def gateway(
    provider: FakeProvider, tools: McpServer, run_gateway: Callable[..., RunningGateway]
) -> RunningGateway:
    extra = "max_input_tokens = 1000\nmax_output_tokens = 100"
    tables = provider_toml(provider.base_url) + model_toml(extra=extra)
    tables += server_toml("tools", tools.url, 'price_per_call = "0.01"')
    for dialect in ("anthropic", "gemini"):
        tables += provider_toml(provider.origin, name=dialect, dialect=dialect)
        tables += model_toml(_MODELS[dialect], targets=[dialect], extra=extra)
    return run_gateway(tables, server="drain_seconds = 1")


@pytest.fixture(scope="module")
def keys(gateway: RunningGateway) -> dict[str, CreatedKey]:
    scopes: dict[str, dict[str, Any]] = {
        "free": {},
        "foreign model": {"allowed_models": ["another"]},
        "no model": {"allowed_models": []},
        "no provider": {"allowed_providers": []},
        "no endpoint": {"allowed_endpoints": []},
        "other network": {"ip_allowlist": ["192.0.2.0/24"]},
        "no money": {"budget_usd": "0"},
        "no requests": {"requests_per_minute": 0},
        "no slot": {"max_parallel_requests": 0},
    }
    scopes["no server"] = {"mcp": {"enabled": True, "access_mode": "deny_all"}}
    mcp = {"mcp": {"enabled": True}}
    made = {name: gateway.create_key(name, **{**mcp, **members}) for name, members in scopes.items()}
    return made | {"no mcp": gateway.create_key("no mcp")}


def test_the_table_is_the_whole_truth() -> None:
    assert len(DISPATCHING) == 12 + 2 + 10 + 1 and len(MCP) == 2
    assert {route.method for route in EVERY} == {"POST"}
    assert CHAT in {route.path for route in DISPATCHING}


@pytest.mark.parametrize("route", DISPATCHING, ids=lambda route: route.path)
def test_the_pipeline_stands_before_every_route(
    route: DataRoute, gateway: RunningGateway, provider: FakeProvider, keys: dict[str, CreatedKey]
) -> None:
    def ask(name: str, model: str = "") -> RawAnswer:
        return send(gateway.port, request_for(route, keys[name].secret if name else "", model))

    before = provider.stats()["requests"]
    assert (ask("").status, ask("").code) == (401, "missing_api_key")
    wrong = send(gateway.port, request_for(route, "gwk_" + "A" * 49))
    assert (wrong.status, wrong.code) == (401, "invalid_api_key")
    expected = {
        "foreign model": (403, "model_not_found"),
        "no model": (403, "model_not_found"),
        "no provider": (403, "provider_not_allowed"),
        "no endpoint": (403, "endpoint_not_allowed"),
        "other network": (403, "ip_not_allowed"),
        "no requests": (429, "rate_limit_exceeded"),
        "no slot": (429, "rate_limit_exceeded"),
    }
    assert {name: (answer := ask(name)) and (answer.status, answer.code) for name in expected} == expected
    free = route.path.endswith(("count_tokens", ":countTokens"))
    unbounded = route.path in ("/v1/audio/transcriptions", "/v1/audio/translations")
    if not free:
        broke = ask("no money")
        assert (broke.status, broke.code) == (
            (403, "cost_unbounded") if unbounded else (429, "insufficient_quota")
        )
        assert unbounded or broke.headers["x-should-retry"] == "false"
    assert (ask("free", "nope").status, ask("free", "nope").code) == (404, "model_not_found")
    assert provider.stats()["requests"] == before
    assert ask("free").status == 200
    assert provider.stats()["requests"] == before + 1
    if free:
        assert ask("no money").status == 200


@pytest.mark.parametrize("route", MCP, ids=lambda route: route.path)
def test_the_pipeline_stands_before_every_mcp_route(
    route: DataRoute, gateway: RunningGateway, tools: McpServer, keys: dict[str, CreatedKey]
) -> None:
    def ask(name: str, secret: str = "") -> tuple[int, Any]:
        tool = "echo" if "{" in route.path else "tools__echo"
        meta = {"protocolVersion": "2026-07-28", "clientCapabilities": {}}
        params = {
            "name": tool,
            "_meta": {f"io.modelcontextprotocol/{member}": value for member, value in meta.items()},
        }
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
        head = f"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n".encode()
        line = f"POST {route.path.replace('{server}', 'tools')} HTTP/1.1".encode()
        known = keys[name].secret if name else secret
        answer = send(
            gateway.port, make_request(known, line=line, body=body, headers=head, host=b"Host: localhost\r\n")
        )
        return answer.status, answer.headers.get("x-gateway-error", "") or json.loads(answer.body)

    before = len(tools.calls)
    assert ask("") == (401, "missing_api_key")
    assert ask("", "gwk_" + "A" * 49) == (401, "invalid_api_key")
    expected = {
        "no endpoint": (403, "endpoint_not_allowed"),
        "other network": (403, "ip_not_allowed"),
        "no requests": (429, "rate_limit_exceeded"),
        "no slot": (429, "rate_limit_exceeded"),
        "no money": (429, "insufficient_quota"),
        "no mcp": (403, "mcp_disabled"),
    }
    assert {name: ask(name) for name in expected} == expected
    status, refused = ask("no server")
    assert (status, refused["error"]["code"]) == (404 if "{" in route.path else 200, -32602)
    assert len(tools.calls) == before
    for name in ("free", "no model", "no provider"):  # models and providers are no rules of tools
        status, answer = ask(name)
        assert status == 200 and answer["result"]["content"]
    assert len(tools.calls) == before + 3


@pytest.mark.parametrize(
    "route",
    [route for route in list_routes() if route.path.startswith("/v1") and route.operation is None],
    ids=lambda route: route.path,
)
def test_own_routes_want_a_key(route: DataRoute, gateway: RunningGateway) -> None:
    head = f"{route.method} {route.path.replace('{id}', 'chat')} HTTP/1.1".encode()
    assert send(gateway.port, make_request(line=head, framing=b"", body=b"")).status == 401


def test_listed_means_callable(gateway: RunningGateway, keys: dict[str, CreatedKey]) -> None:
    def listed(name: str) -> list[str]:
        return [model["id"] for model in gateway.fetch("/v1/models", secret=keys[name].secret)[1]["data"]]

    assert "chat" in listed("free") and "chat" in listed("no money")
    assert listed("no model") == listed("no provider") == []
    assert gateway.fetch("/v1/models/chat", secret=keys["no provider"].secret)[0] == 404
    assert gateway.fetch("/v1/models", secret=keys["other network"].secret)[0] == 403
