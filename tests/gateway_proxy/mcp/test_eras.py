"""Requests and results on their way from one era to the other."""

import pytest

from gateway_proxy.mcp.eras import LIST_TTL_MS, fit_error, fit_params, fit_result, rename_uris
from gateway_proxy.mcp.errors import McpError
from gateway_proxy.mcp.methods import METHODS
from gateway_proxy.mcp.versions import CAPABILITIES_KEY, CLIENT_KEY, VERSION_KEY

NEW, OLD = "2026-07-28", "2025-11-25"
META = {
    VERSION_KEY: NEW,
    CAPABILITIES_KEY: {"elicitation": {}},
    CLIENT_KEY: {"name": "c"},
    "progressToken": 1,
}
LIST, CALL, READ = METHODS["tools/list"], METHODS["tools/call"], METHODS["resources/read"]


def test_params_for_a_server_of_either_era() -> None:
    assert fit_params({"name": "x", "_meta": META}, client=NEW, server=NEW) == {"name": "x", "_meta": META}
    assert fit_params({"name": "x", "_meta": META}, client=NEW, server=OLD) == {
        "name": "x",
        "_meta": {"progressToken": 1},
    }
    assert fit_params({"_meta": {VERSION_KEY: NEW}}, client=NEW, server=OLD) == {}
    assert fit_params(None, client=OLD, server=OLD) is None
    fitted = fit_params(None, client=OLD, server=NEW)
    assert (
        fitted is not None and fitted["_meta"][VERSION_KEY] == NEW and fitted["_meta"][CAPABILITIES_KEY] == {}
    )


def test_results_for_a_modern_client() -> None:
    assert fit_result({"tools": []}, LIST, client=NEW) == {
        "tools": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
    }  # fmt: skip
    shared = fit_result({"contents": [], "ttlMs": 9e9, "cacheScope": "public"}, READ, client=NEW)
    assert (shared["ttlMs"], shared["cacheScope"]) == (LIST_TTL_MS, "private")
    for garbled in (-1, "x", True, None):
        assert fit_result({"ttlMs": garbled}, READ, client=NEW)["ttlMs"] == 0
    assert fit_result({"content": []}, CALL, client=NEW) == {"content": [], "resultType": "complete"}
    asking = {"resultType": "input_required", "requestState": "s"}
    assert fit_result(asking, READ, client=NEW) == asking


def test_results_for_a_legacy_client() -> None:
    assert fit_result(
        {"tools": [], "resultType": "complete", "ttlMs": 1, "cacheScope": "public"}, LIST, client=OLD
    ) == {"tools": []}
    with pytest.raises(McpError, match="asks for input"):
        fit_result({"resultType": "input_required"}, CALL, client=OLD)


def test_uris_in_contents_are_renamed() -> None:
    link, embedded = (
        {"type": "resource_link", "uri": "u:1"},
        {"type": "resource", "resource": {"uri": "u:2", "text": "t"}},
    )
    renamed = rename_uris(
        "a", {"content": [link, embedded, "odd", {"type": "text", "text": "u:1"}], "isError": False}
    )
    assert (
        renamed["content"][0]["uri"] == "mcp+a+u:1"
        and renamed["content"][1]["resource"]["uri"] == "mcp+a+u:2"
    )
    assert renamed["content"][2:] == ["odd", {"type": "text", "text": "u:1"}] and link["uri"] == "u:1"
    assert rename_uris("a", {"contents": [{"uri": "u:3"}]}) == {"contents": [{"uri": "mcp+a+u:3"}]}
    told = rename_uris("a", {"messages": [{"role": "user", "content": link}, "odd"]})
    assert told["messages"] == [{"role": "user", "content": {**link, "uri": "mcp+a+u:1"}}, "odd"]


@pytest.mark.parametrize(
    ("code", "status"),
    [(-32020, 400), (-32021, 400), (-32022, 400), (-32601, 404), (-32602, 200), (-32603, 200), (7, 200)],
)
def test_the_status_of_a_server_s_own_error(code: int, status: int) -> None:
    error = {"code": code, "message": "m", "data": {"d": 1}}
    modern, legacy = fit_error(error, client=NEW), fit_error(error, client=OLD)
    assert (modern.code, modern.status, modern.data) == (code, status, {"d": 1})
    assert (legacy.code, legacy.status) == (code, 200)


def test_a_server_s_error_that_cannot_be_read() -> None:
    for garbled in ({}, {"code": True, "message": "m"}, {"code": 1}, {"code": "1", "message": "m"}):
        assert fit_error(garbled, client=NEW).code == -32603
    assert fit_error({"code": -32002, "message": "m"}, client=NEW).code == -32602
    assert fit_error({"code": -32002, "message": "m"}, client=OLD).code == -32002
