"""What of a server's lists is usable."""

from gateway_proxy.mcp.catalogue import Offer, make_catalogue, read_list


def test_lists_are_sorted_and_hold_each_name_once() -> None:
    first, second = {"name": "b", "title": "first"}, {"name": "b", "title": "second"}
    found = read_list("tools", [first, {"name": "a"}, second, {}, {"name": 3}, {"name": ""}, "x", None])
    assert list(found) == ["a", "b"] and found["b"] is first
    assert list(read_list("resources", [{"uri": "u:1", "name": "n"}, {"name": "n"}])) == ["u:1"]


def test_servers_are_sorted() -> None:
    catalogue = make_catalogue([Offer("b"), Offer("a", problem="timed out")])
    assert list(catalogue) == ["a", "b"] and catalogue["b"].things("tools") == {}
