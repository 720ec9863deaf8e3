"""First sights, changes and approvals of tools."""

from typing import Any

from gateway_proxy.core.approval import Approval
from gateway_proxy.mcp import definitions as module
from gateway_proxy.mcp.catalogue import Offer, read_list
from gateway_proxy.mcp.definitions import Definitions, describe_definition, take_fingerprint

TOOL = {"name": "x", "description": "d", "inputSchema": {"type": "object", "properties": {"a": {}, "b": {}}}}


def offer(*tools: dict[str, Any]) -> Offer:
    return Offer("s", {"tools": read_list("tools", tools)})


def test_the_fingerprint_is_of_all_that_counts() -> None:
    turned = dict(reversed(TOOL.items())) | {"_meta": {"n": 1}}
    assert take_fingerprint(TOOL) == take_fingerprint(turned) == describe_definition(TOOL)[0]
    for change in ({"description": "D"}, {"inputSchema": {"type": "object"}}, {"annotations": {}}):
        assert take_fingerprint({**TOOL, **change}) != take_fingerprint(TOOL)


def test_what_is_new_is_taken_for_what_it_is_once() -> None:
    definitions = Definitions()
    (fresh,) = definitions.meet(offer(TOOL))
    assert (fresh.server, fresh.tool, fresh.fingerprint) == ("s", "x", take_fingerprint(TOOL))
    assert definitions.meet(offer({**TOOL, "description": "other"})) == []
    assert definitions.judge(offer(TOOL), blocks=True).changed == {}


def test_a_changed_tool_is_told_and_where_wanted_not_offered() -> None:
    definitions = Definitions()
    definitions.meet(offer(TOOL))
    changed = offer({**TOOL, "description": "other"}, {"name": "y"})
    definitions.meet(changed)
    told = definitions.judge(changed, blocks=False)
    assert list(told.things("tools")) == ["x", "y"] and not told.changed["x"].blocked
    told = definitions.judge(changed, blocks=True)
    assert list(told.things("tools")) == ["y"] and told.changed["x"].blocked
    assert told.changed["x"].definition["description"] == "other"
    definitions.approve(Approval("s", "x", told.changed["x"].fingerprint))
    assert definitions.judge(changed, blocks=True) is changed
    assert "x" in definitions.judge(offer(TOOL), blocks=True).changed  # back to what it was is a change too


def test_what_the_store_holds_counts() -> None:
    definitions = Definitions()
    definitions.take([Approval("s", "x", "0" * 64)])
    assert definitions.meet(offer(TOOL)) == [] and "x" in definitions.judge(offer(TOOL), blocks=False).changed
    assert definitions.find("s", "x") == Approval("s", "x", "0" * 64) and definitions.find("t", "x") is None


def test_a_server_without_end_is_not_kept_in_mind(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "MAX_TOOLS", 2)
    definitions = Definitions()
    assert len(definitions.meet(offer(*({"name": f"t{n}"} for n in range(5))))) == 2
    monkeypatch.setattr(module, "MAX_DEFINITION_BYTES", 10)
    assert describe_definition(TOOL)[1] == ""
