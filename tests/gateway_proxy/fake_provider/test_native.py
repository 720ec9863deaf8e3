"""native: whose API a path is, where its key stands, and its requests in one language."""

import pytest

from gateway_proxy.fake_provider.native import Address, find_credential, read_address, translate


@pytest.mark.parametrize(
    ("path", "query", "address"),
    [
        ("/v1/chat/completions", {}, Address("openai", "/v1/chat/completions")),
        ("/v1/messages", {"beta": ["true"]}, Address("anthropic", "/v1/messages")),
        ("/v1/models/a%2Fb:generateContent", {}, Address("gemini", "generateContent", "a/b")),
        ("/v1beta/models/m:streamGenerateContent", {}, Address("gemini", "streamGenerateContent", "m", True)),
        ("/v1beta/models/m:streamGenerateContent", {"alt": ["sse"]}, Address("gemini", "streamGenerateContent", "m")),
        ("/openai/deployments/d/chat/completions", {"api-version": ["1"]}, Address("azure", "/v1/chat/completions", "d")),
        ("/openai/deployments/d/chat/completions", {}, Address("azure", "", "d")),
        ("/openai/responses", {"api-version": ["1"]}, Address("azure", "/v1/responses")),
        ("/openai/v1/responses", {}, Address("azure", "/v1/responses")),
    ],
)  # fmt: skip
def test_addresses(path: str, query: dict[str, list[str]], address: Address) -> None:
    assert read_address(path, query) == address


def test_credentials() -> None:
    headers = {"authorization": "Bearer a", "x-api-key": "b", "x-goog-api-key": "c", "api-key": "d"}
    apis = ("openai", "anthropic", "gemini", "azure")
    assert [find_credential(api, headers) for api in apis] == ["a", "b", "c", "d"]
    assert [find_credential(api, {}) for api in apis] == [""] * 4


def test_one_language() -> None:
    gemini = translate(
        Address("gemini", "generateContent", "m"),
        {
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": {"maxOutputTokens": 4, "candidateCount": 2},
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}],
        },
    )
    assert (gemini["model"], gemini["max_tokens"], gemini["n"], gemini["stream"]) == ("m", 4, 2, False)
    assert gemini["messages"] == [{"role": "user", "content": [{"text": "hi"}]}]
    assert gemini["tools"][0]["function"]["parameters"] == {"type": "object"}
    assert translate(Address("azure", "/v1/chat/completions", "d"), {"model": "x"}) == {"model": "d"}
    tools = translate(
        Address("anthropic", "/v1/messages"),
        {"tools": [{"name": "f", "input_schema": {}}, {"type": "web_search"}]},
    )
    assert tools["tools"] == [{"type": "function", "function": {"name": "f", "parameters": {}}}]
