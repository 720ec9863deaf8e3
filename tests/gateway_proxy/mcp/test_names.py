"""Names among those of all servers: one way there, one way back."""

import pytest

from gateway_proxy.mcp.names import MAX_NAME, join_name, join_uri, split_name, split_uri


@pytest.mark.parametrize("server", ["github", "a-b", "9"])
@pytest.mark.parametrize("name", ["search", "__x", "a__b", "_", "a+b", "ü"])
def test_back_again(server: str, name: str) -> None:
    assert split_name(join_name(server, name)) == (server, name)
    assert split_uri(join_uri(server, f"file:///{name}")) == (server, f"file:///{name}")


@pytest.mark.parametrize(
    "name", ["", "search", "__search", "github__", "github_search", "a__" + "b" * (MAX_NAME - 2)]
)
def test_names_of_no_server(name: str) -> None:
    assert split_name(name) is None


@pytest.mark.parametrize("uri", ["", "file:///a", "mcp+", "mcp+a", "mcp++x", "mcp+a+", "MCP+a+x"])
def test_uris_of_no_server(uri: str) -> None:
    assert split_uri(uri) is None


def test_the_longest_name() -> None:
    assert split_name("a__" + "b" * (MAX_NAME - 3)) == ("a", "b" * (MAX_NAME - 3))
