"""The route table names every way in, and reads a path as one thing only."""

import pytest

from gateway_proxy.proxy.routes import OPERATIONS, Target, list_routes, read_target, split_deployment

NO_HEADERS: tuple[str, ...] = ()


def test_each_dispatching_route_is_listed_once() -> None:
    routes = list_routes()
    assert len({(route.method, route.path) for route in routes}) == len(routes)
    ours = {route.path: route.operation for route in routes if route.operation and route.dialect == "openai"}
    stored = {path: ours.pop(path) for path in list(ours) if "{id}" in path}
    assert ours == OPERATIONS
    assert [route.method for route in routes if route.path == "/v1/responses/{id}"] == ["GET", "DELETE"]
    assert set(stored.values()) == {"responses"} and len(stored) == 3
    others = [route for route in routes if route.path not in (*stored, "/v1/key/ephemeral")]
    assert all(route.method == ("POST" if route.operation else "GET") for route in others)


def test_each_listed_route_is_what_it_is_listed_as() -> None:
    for route in list_routes():
        read = read_target(route.path.replace("{model}", "m"), NO_HEADERS)
        assert not route.operation or route.method in read.methods.split(", ")
        assert (read.operation or None) == route.operation
        if route.operation:
            assert read.dialect == route.dialect


def test_paths_are_plain() -> None:
    assert all(
        path.startswith("/v1/") and path.isascii() and path == path.lower().rstrip("/") for path in OPERATIONS
    )


@pytest.mark.parametrize(
    ("target", "read"),
    [
        ("/v1/chat/completions?x=1", Target("/v1/chat/completions", "chat", "openai")),
        ("/v1/messages?beta=true", Target("/v1/messages", "messages", "anthropic")),
        ("/v1/messages/batches", Target("/v1/messages/batches", "", "anthropic")),
        ("/v1/models/m", Target("/v1/models/m", "", "openai")),
        ("/v1/models/a/b:c", Target("/v1/models/a/b:c", "", "openai", "")),
        ("/openai/models/a:b", Target("/v1/models/a:b", "", "openai", "")),
        ("/v1beta/models/m:predict", Target("/v1beta/models/m:predict", "", "gemini", "")),
        ("/v1beta/models/m", Target("/v1beta/models/m", "", "gemini")),
        ("/v1beta/models", Target("/v1beta/models", "", "gemini")),
        ("/v1beta/models/a/b:generateContent?key=SECRET", Target("/v1beta/models/a/b:generateContent", "gemini", "gemini")),
        ("/v1/models/m:streamGenerateContent?alt=json", Target("/v1/models/m:streamGenerateContent", "gemini", "gemini")),
        (
            "/v1/models/m:streamGenerateContent?key=SECRET&alt=sse",
            Target("/v1/models/m:streamGenerateContent?alt=sse", "gemini", "gemini"),
        ),
        ("/v1beta/models/:generateContent", Target("/v1beta/models/:generateContent", "", "gemini", "")),
        ("/v1beta/tunedModels/m:generateContent", Target("/v1beta/tunedModels/m:generateContent", "", "gemini")),
        ("/openai/v1/chat/completions", Target("/v1/chat/completions", "chat", "openai")),
        ("/openai/responses?api-version=x", Target("/v1/responses", "responses", "openai")),
        ("/v1/responses/r_1", Target("/v1/responses/r_1", "responses", "openai", "GET, DELETE")),
        (
            "/openai/responses/r_1/input_items?api-version=x&limit=2&key=SECRET",
            Target("/v1/responses/r_1/input_items?limit=2", "responses", "openai", "GET"),
        ),
        ("/openai/v1/responses/r_1/cancel", Target("/v1/responses/r_1/cancel", "responses", "openai", "POST")),
        ("/v1/responses/", Target("/v1/responses/", "", "openai")),
        ("/v1/responses/r_1/files", Target("/v1/responses/r_1/files", "", "openai")),
        ("/openai/models", Target("/v1/models", "", "openai")),
        (
            "/openai/deployments/a/b/chat/completions?api-version=x",
            Target("/openai/deployments/a/b/chat/completions", "chat", "azure"),
        ),
        ("/openai/deployments/chat/completions", Target("/openai/deployments/chat/completions", "completions", "azure")),
        ("/openai/deployments/a/files", Target("/openai/deployments/a/files", "", "azure")),
    ],
)  # fmt: skip
def test_what_a_target_means(target: str, read: Target) -> None:
    assert read_target(target, NO_HEADERS) == read


@pytest.mark.parametrize(
    ("headers", "dialect"),
    [
        ((), "openai"),
        (("anthropic-version",), "anthropic"),
        (("x-goog-api-key",), "gemini"),
        (("x-goog-api-key", "anthropic-version"), "gemini"),
    ],
)
def test_whose_words_a_client_wants(headers: tuple[str, ...], dialect: str) -> None:
    for path in ("/v1/models", "/v1/models/m", "/v1/files"):
        assert read_target(path, headers).dialect == dialect
    assert read_target("/v1/chat/completions", headers).dialect == "openai"


def test_deployments() -> None:
    assert split_deployment("/openai/deployments/d/embeddings") == ("d", "/embeddings")
    assert split_deployment("/openai/deployments/d/audio/speech") == ("d", "/audio/speech")
    assert split_deployment("/openai/deployments/d") == ("", "")
