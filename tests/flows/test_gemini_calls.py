"""Every call of Google's official SDK that the gateway offers, unmodified but for base URL and key; and the array stream."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from tests.support.clients import gemini_sdk, native_tables, requests_of
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway
from tests.support.raw import make_request, send

TEXT = "tok " * 16
TOOL = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="look_up",
            parameters=types.Schema(
                type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}
            ),
        )
    ]
)
BODY = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider) -> Iterator[RunningGateway]:
    with RunningGateway(native_tables(provider)) as running:
        yield running


@pytest.fixture(scope="module")
def key(gateway: RunningGateway) -> CreatedKey:
    return gateway.create_key("calls", budget_usd="5")


@pytest.fixture(params=["v1beta", "v1"])
def client(
    gateway: RunningGateway, key: CreatedKey, request: pytest.FixtureRequest
) -> Iterator[genai.Client]:
    with gemini_sdk(gateway, key.secret, request.param) as made:
        yield made


def test_an_answer(client: genai.Client, provider: FakeProvider) -> None:
    config = types.GenerateContentConfig(max_output_tokens=99, system_instruction="be brief", temperature=0.5)
    answer = client.models.generate_content(model="gem", contents="hello", config=config)
    assert answer.text == TEXT and answer.sdk_http_response is not None
    headers = answer.sdk_http_response.headers
    assert headers is not None and headers["x-gateway-provider"] == "gemini"
    bill = provider.ledger()[-1]
    assert (bill.model, bill.max_tokens, bill.authorization_last4) == ("m-gem", 99, "-key")
    assert float(headers["x-gateway-cost-usd"]) == (bill.prompt_tokens + 2 * bill.completion_tokens) / 10**6


def test_without_a_maximum_the_budget_writes_one(client: genai.Client, provider: FakeProvider) -> None:
    assert client.models.generate_content(model="gem", contents="hello").text == TEXT
    assert provider.ledger()[-1].max_tokens == 4096


def test_a_stream(client: genai.Client) -> None:
    pieces = list(client.models.generate_content_stream(model="gem", contents="hello"))
    assert "".join(piece.text or "" for piece in pieces) == TEXT
    assert pieces[-1].usage_metadata is not None and pieces[-1].usage_metadata.candidates_token_count == 16


def test_tools_and_a_chat(client: genai.Client) -> None:
    config = types.GenerateContentConfig(
        tools=[TOOL], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
    )
    answer = client.models.generate_content(model="gem", contents="use the tool", config=config)
    assert answer.function_calls is not None and answer.function_calls[0].args == {"city": "x"}
    chat = client.chats.create(model="gem")
    assert chat.send_message("hello").text == TEXT
    assert "".join(piece.text or "" for piece in chat.send_message_stream("again")) == TEXT


def test_counts_and_embeddings(client: genai.Client, gateway: RunningGateway, provider: FakeProvider) -> None:
    assert client.models.count_tokens(model="gem", contents="hello").total_tokens
    embedded = client.models.embed_content(model="gem", contents=["a", "b"])
    assert embedded.embeddings is not None and len(embedded.embeddings) == 2
    assert provider.ledger()[-1].model == "m-gem"
    broke = gateway.create_key("broke", budget_usd="0")
    with gemini_sdk(gateway, broke.secret) as other:
        assert other.models.count_tokens(model="gem", contents="hello").total_tokens
        with pytest.raises(errors.ClientError):
            other.models.embed_content(model="gem", contents="a")


def test_models(client: genai.Client) -> None:
    assert [model.name for model in client.models.list()] == [
        f"models/{name}" for name in ("chat", "claude", "deployed", "gem")
    ]
    assert client.models.get(model="gem").output_token_limit == 4096
    with pytest.raises(errors.ClientError) as missing:
        client.models.get(model="nothing")
    assert (missing.value.code, missing.value.status) == (404, "NOT_FOUND")


@pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)  # the SDK's own
async def test_the_async_client(gateway: RunningGateway, key: CreatedKey) -> None:
    with gemini_sdk(gateway, key.secret) as client:
        async with client.aio as aio:
            assert (await aio.models.generate_content(model="gem", contents="hello")).text == TEXT
            stream = await aio.models.generate_content_stream(model="gem", contents="hello")
            assert "".join([piece.text or "" async for piece in stream]) == TEXT
            with pytest.raises(errors.ClientError):
                await aio.models.generate_content(model="nothing", contents="hello")


@pytest.mark.parametrize("name", ["gemini/any-model", "gemini/a/b-1.5"])
def test_a_providers_own_name(gateway: RunningGateway, provider: FakeProvider, name: str) -> None:
    key = gateway.create_key("free")
    with gemini_sdk(gateway, key.secret) as client:
        assert client.models.generate_content(model=name, contents="hello").text == TEXT
    assert provider.ledger()[-1].model == name.removeprefix("gemini/")


def test_an_array_is_streamed_and_counted(gateway: RunningGateway) -> None:
    key = gateway.create_key("array", budget_usd="1")
    url = f"{gateway.origin}/v1beta/models/gem:streamGenerateContent"
    slow: dict[str, Any] = {
        "contents": [{"role": "user", "parts": [{"text": "[[fake: mode=slow delay_ms=40 tokens=8]]"}]}]
    }
    request = urllib.request.Request(
        url, json.dumps(slow).encode(), {"x-goog-api-key": key.secret, "content-type": "application/json"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        assert answer.headers["content-type"].startswith("application/json")
        first = answer.read1()
        assert b"modelVersion" in first and b"finishReason" not in first, (
            "the first piece comes before the last"
        )
        pieces = json.loads(first + answer.read())
    assert "".join(p["candidates"][0]["content"]["parts"][0]["text"] for p in pieces) == "tok " * 8
    [row] = gateway.settled_rows(key.id)
    assert (row["usage_source"], row["outcome"], row["output_tokens"]) == ("provider", "completed", 8)


@pytest.mark.parametrize(
    "orders", ["mode=reset after=2 delay_ms=5", "mode=cut end=clean", "mode=cut bytes=9 end=close"]
)
def test_an_array_that_breaks_is_cut(gateway: RunningGateway, provider: FakeProvider, orders: str) -> None:
    key = gateway.create_key("cut", budget_usd="1")
    body = {"contents": [{"role": "user", "parts": [{"text": f"[[fake: {orders}]]"}]}]}
    line = b"POST /v1beta/models/gem:streamGenerateContent HTTP/1.1"
    answer = send(gateway.port, make_request(key.secret, line=line, body=json.dumps(body).encode()))
    assert answer.status == 0, "a whole answer would be taken for the truth"
    [row] = gateway.settled_rows(key.id)
    assert row["outcome"] == "upstream_failed"
    bill = provider.ledger()[-1]
    assert row["charged_nanos"] >= 1000 * (bill.prompt_tokens + 2 * bill.completion_tokens)


def test_a_key_in_the_query_is_none_and_is_not_logged(gateway: RunningGateway) -> None:
    key = gateway.create_key("query")
    target = f"/v1beta/models/gem:generateContent?key={key.secret}"
    answer = send(
        gateway.port, make_request(line=f"POST {target} HTTP/1.1".encode(), body=json.dumps(BODY).encode())
    )
    assert (answer.status, answer.code) == (401, "missing_api_key")
    assert json.loads(answer.body)["error"]["status"] == "UNAUTHENTICATED"
    gateway.settled_rows()
    everything = gateway.log_text() + json.dumps(gateway.query("SELECT * FROM request_log"), default=str)
    assert key.secret not in everything and key.secret.encode() not in answer.body


def test_what_is_logged(gateway: RunningGateway) -> None:
    key = gateway.create_key("logged")
    with gemini_sdk(gateway, key.secret) as client:
        list(client.models.generate_content_stream(model="gem", contents="hello"))
    [row] = requests_of(gateway, key.id)
    assert (row["model"], row["provider"], row["status"], row["output_tokens"]) == ("gem", "gemini", 200, 16)
