"""A key's rule over servers and tools: listed exactly if callable, and denied like unknown."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from gateway_proxy.core.key import McpMode, McpScope
from gateway_proxy.core.policy import KeyPolicy, TokenPolicy
from gateway_proxy.mcp.catalogue import Offer, make_catalogue, read_list
from gateway_proxy.mcp.errors import INVALID_PARAMS, McpError
from gateway_proxy.mcp.scope import LEFT_OUT_KEY, UNAVAILABLE_KEY, Scope
from tests.support.exchanges import make_policy

SERVERS, TOOLS = ("a", "b"), ("x", "y", "b__x")
LONG = "l" * 126


def offer(server: str, *tools: str, problem: str = "") -> Offer:
    lists = {
        "tools": read_list("tools", [{"name": tool} for tool in tools]),
        "prompts": read_list("prompts", [{"name": "p"}]),
        "resources": read_list("resources", [{"uri": "file:///r", "name": "r"}]),
        "resourceTemplates": read_list("resourceTemplates", [{"uriTemplate": "file:///{p}", "name": "t"}]),
    }
    return Offer(server, lists, problem)


CATALOGUE = make_catalogue(offer(server, *TOOLS) for server in SERVERS)


def subsets(items: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return itertools.chain.from_iterable(
        itertools.combinations(items, size) for size in range(len(items) + 1)
    )


def universe() -> Iterator[McpScope]:
    lists = [None, *subsets(TOOLS)]
    for enabled, mode, servers, of_a in itertools.product(
        (True, False), McpMode, subsets(("a", "b", "c")), lists
    ):
        for of_b in (None, (), ("b__x",)):
            tools = {name: named for name, named in (("a", of_a), ("b", of_b)) if named is not None}
            yield McpScope(enabled, mode, servers, tools)


def callable_names(scope: Scope, names: list[str]) -> set[str]:
    allowed = set()
    for name in names:
        try:
            called = scope.judge_name("tools", {"name": name, "arguments": {}})
        except McpError as error:
            assert (error.code, error.message, error.status) == (INVALID_PARAMS, f"Unknown tool: {name}", 200)
        else:
            assert scope.server in ("", called.server) and called.params == {
                "name": called.name,
                "arguments": {},
            }
            allowed.add(name)
    return allowed


def check_listed_is_callable(policy: KeyPolicy) -> None:
    names = [*TOOLS, "z", *(f"{server}__{tool}" for server in (*SERVERS, "c") for tool in (*TOOLS, "z"))]
    for server in ("", *SERVERS, "c"):
        scope = Scope(policy, CATALOGUE, server)
        listed = [tool["name"] for tool in scope.list_things("tools")["tools"]]
        assert listed == sorted(listed) and set(listed) == callable_names(scope, names)
        expected = {
            tool if server else f"{of}__{tool}"
            for of in SERVERS
            for tool in TOOLS
            if server in ("", of) and policy.allows_tool(of, tool)
        }
        assert set(listed) == expected


def test_listed_is_callable_for_every_rule() -> None:
    scopes = list(universe())
    assert len(scopes) == 2 * 4 * 8 * 9 * 3
    for scope in scopes:
        check_listed_is_callable(make_policy(mcp=scope))


def test_listed_is_callable_for_tokens() -> None:
    parent = make_policy(mcp=McpScope(True, McpMode.ALLOW_LIST, ("a",), {"a": ("x", "y")}))
    for own in itertools.islice(universe(), 0, None, 7):
        check_listed_is_callable(TokenPolicy(make_policy(mcp=own).key, parent))


def everything(**members: Any) -> Scope:
    catalogue = members.pop("catalogue", CATALOGUE)
    return Scope(make_policy(mcp=McpScope(enabled=True)), catalogue, **members)


def test_names_that_grow_too_long_are_left_out_and_named() -> None:
    catalogue = make_catalogue([offer("a", LONG, LONG[:-1]), offer("b", "x", problem="timed out")])
    result = everything(catalogue=catalogue).list_things("tools")
    assert [tool["name"] for tool in result["tools"]] == [f"a__{LONG[:-1]}", "b__x"]
    assert result["_meta"] == {LEFT_OUT_KEY: [f"a__{LONG}"], UNAVAILABLE_KEY: ["b"]}
    with pytest.raises(McpError, match="Unknown tool"):
        everything(catalogue=catalogue).judge_name("tools", {"name": f"a__{LONG}"})
    assert everything(catalogue=catalogue, server="a").judge_name("tools", {"name": LONG}).name == LONG


def test_a_list_has_one_page() -> None:
    with pytest.raises(McpError, match="cursor"):
        everything().list_things("tools", "next")


def test_resources_and_templates_are_named_by_server() -> None:
    (first, _) = everything().list_things("resources")["resources"]
    assert first == {"uri": "mcp+a+file:///r", "name": "a__r"}
    assert everything().judge_uri({"uri": first["uri"]}).params == {"uri": "file:///r"}
    (template, _) = everything().list_things("resourceTemplates")["resourceTemplates"]
    assert template["uriTemplate"] == "mcp+a+file:///{p}"
    assert everything(server="a").list_things("resources")["resources"] == [{"uri": "file:///r", "name": "r"}]


def test_all_but_tools_goes_with_the_server() -> None:
    policy = make_policy(mcp=McpScope(True, McpMode.DENY_LIST, ("b",), {"a": ()}))
    scope = Scope(policy, CATALOGUE)
    assert scope.list_things("tools")["tools"] == []
    assert [prompt["name"] for prompt in scope.list_things("prompts")["prompts"]] == ["a__p"]
    assert scope.judge_completion({"ref": {"type": "ref/prompt", "name": "a__p"}, "argument": {}}).params == {
        "ref": {"type": "ref/prompt", "name": "p"}, "argument": {},
    }  # fmt: skip
    assert scope.judge_completion({"ref": {"type": "ref/resource", "uri": "mcp+a+u:{x}"}}).name == "u:{x}"
    for refused in (
        lambda: scope.judge_name("prompts", {"name": "b__p"}), lambda: scope.judge_uri({"uri": "mcp+b+file:///r"}),
        lambda: scope.judge_uri({"uri": "file:///r"}), lambda: scope.judge_completion({"ref": {"type": "x"}}),
        lambda: scope.judge_completion({"ref": {"type": "ref/prompt", "name": "b__p"}}), lambda: scope.judge_completion({}),
        lambda: scope.judge_name("tools", {}), lambda: scope.judge_uri(None), lambda: scope.split_subscription({}),
        lambda: scope.split_subscription({"notifications": {"resourceSubscriptions": ["mcp+b+file:///r"]}}),
        lambda: scope.split_subscription({"notifications": {"resourceSubscriptions": [1]}}),
    ):  # fmt: skip
        with pytest.raises(McpError) as caught:
            refused()
        assert caught.value.code == INVALID_PARAMS


def test_a_subscription_is_split_by_server() -> None:
    asked = {"toolsListChanged": True, "promptsListChanged": False, "resourceSubscriptions": ["mcp+a+u:1"]}
    assert everything().split_subscription({"notifications": asked}) == {
        "a": {"toolsListChanged": True, "resourceSubscriptions": ["u:1"]}, "b": {"toolsListChanged": True},
    }  # fmt: skip
    assert everything(server="b").split_subscription({"notifications": {}}) == {}


def test_the_forbidding_style_tells_what_exists() -> None:
    scope = Scope(make_policy(mcp=McpScope(True, tools={"a": ()})), CATALOGUE, "a", forbids=True)
    with pytest.raises(McpError) as caught:
        scope.judge_name("tools", {"name": "x"})
    assert caught.value.status == 403 and caught.value.denied
    with pytest.raises(McpError, match="Unknown tool: z") as caught:
        scope.judge_name("tools", {"name": "z"})
    assert not caught.value.denied


def test_a_server_outside_the_rule_is_as_unknown_as_one_that_is_not_there() -> None:
    policy = make_policy(mcp=McpScope(True, McpMode.ALLOW_LIST, ("a",)))
    Scope(policy, CATALOGUE, "a").check_server()
    Scope(policy, CATALOGUE).check_server()
    for server in ("b", "c"):
        with pytest.raises(McpError, match=f"Unknown server: {server}") as caught:
            Scope(policy, CATALOGUE, server).check_server()
        assert caught.value.status == 404
    with pytest.raises(McpError) as caught:
        Scope(policy, CATALOGUE, "b", forbids=True).check_server()
    assert caught.value.status == 403
