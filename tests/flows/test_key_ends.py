"""What a key's end does to its running requests: a pause lets them finish, a revocation or deletion cuts them."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from tests.support.clients import say, sdk
from tests.support.command_line import create, keys
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.raw import connect, make_request, read_answer

CUT_SECONDS = 2.0


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider) -> Iterator[RunningGateway]:
    tables = provider_toml(provider.base_url) + (
        '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\n'
        "price = { input = 1, output = 2 }\nmax_output_tokens = 4096\nmax_input_tokens = 100000\n"
    )
    with RunningGateway(tables) as running:
        yield running


def test_a_pause_lets_running_streams_finish(gateway: RunningGateway) -> None:
    key = create(gateway)
    with sdk(gateway, key.secret, max_retries=0) as client:
        stream = client.chat.completions.create(
            model="chat", messages=say("[[fake: tokens=100 delay_ms=10]]"), stream=True
        )
        with stream:
            texts = [next(stream).choices[0].delta.content or ""]
            keys(gateway, "deactivate", key.id)
            with pytest.raises(openai.AuthenticationError) as refused:
                client.models.list()
            assert refused.value.code == "key_inactive"
            for chunk in stream:
                texts.append(chunk.choices[0].delta.content or "")
    assert "".join(texts) == "tok " * 100


@pytest.mark.parametrize("budget", ["none", "1"])
@pytest.mark.parametrize(("command", "code"), [("revoke", "key_revoked"), ("delete", "invalid_api_key")])
def test_an_end_cuts_running_streams_with_an_error(
    gateway: RunningGateway, provider: FakeProvider, command: str, code: str, budget: str
) -> None:
    key = create(gateway, *(() if budget == "none" else ("--budget-usd", budget)))
    spared = create(gateway)
    slow = say("[[fake: tokens=3000 delay_ms=10]]")
    with sdk(gateway, key.secret, max_retries=0) as client:
        chat = client.chat.completions.create(model="chat", messages=slow, stream=True)
        responses = client.responses.create(model="chat", input=slow, stream=True)
        other = client.with_options(api_key=spared.secret).chat.completions.create(
            model="chat", messages=slow, stream=True
        )
        with chat, responses, other:
            for stream in (chat, responses, other):
                next(iter(stream))
            started = time.monotonic()
            keys(gateway, command, key.id)
            with pytest.raises(openai.APIError) as cut:
                for _ in chat:
                    pass
            *_, last = responses
            assert time.monotonic() - started < CUT_SECONDS
            assert cut.value.code == "key_revoked" and "data: [DONE]" not in str(cut.value.body)
            assert last.type == "error" and last.code == "key_revoked"
            assert next(iter(other)).choices  # another key's stream goes on
        with pytest.raises(openai.AuthenticationError) as refused:
            client.models.list()
    assert refused.value.code == code
    rows = gateway.settled_rows(key.id)
    assert [row["outcome"] for row in rows] == ["revoked", "revoked"]
    closed = provider.stats()["closed_by_client"]
    assert len(closed) >= 3  # nobody goes on generating for them
    sources = {row["usage_source"] for row in rows}
    assert sources == ({"partial"} if budget == "none" else {"estimated"})


@pytest.mark.parametrize("command", ["revoke", "delete"])
def test_an_end_cuts_what_has_not_answered_yet(gateway: RunningGateway, command: str) -> None:
    key = create(gateway)
    body = {"model": "chat", "messages": say("[[fake: mode=silent seconds=30]]")}
    with ThreadPoolExecutor(1) as thread:
        pending = thread.submit(gateway.fetch, "/v1/chat/completions", secret=key.secret, body=body)
        while not gateway.readiness()["running"]:
            assert not pending.done()
        started = time.monotonic()
        keys(gateway, command, key.id)
        status, answer = pending.result(CUT_SECONDS + 5)
    assert time.monotonic() - started < CUT_SECONDS
    assert (status, answer["error"]["code"]) == (401, "key_revoked")


def test_an_end_cuts_a_large_answer_short_so_that_it_shows(gateway: RunningGateway) -> None:
    key = create(gateway)
    with sdk(gateway, key.secret, max_retries=0) as client:
        speech = client.audio.speech.with_streaming_response.create(
            model="fake/fake-speech", voice="alloy",
            input="[[fake: mode=split bytes=100000 flush_ms=50 tokens=100000]]",
        )  # fmt: skip
        with speech as answer:
            pieces = answer.iter_bytes()
            assert next(pieces)
            started = time.monotonic()
            keys(gateway, "revoke", key.id)
            with pytest.raises(
                Exception, match=r"incomplete|closed"
            ):  # the SDK lets its transport's own errors through
                list(pieces)
    assert time.monotonic() - started < CUT_SECONDS
    [row] = gateway.settled_rows(key.id)
    assert row["outcome"] == "revoked"
    assert "unhandled" not in gateway.log_text() and "Traceback" not in gateway.log_text()


@pytest.mark.parametrize(
    ("command", "code"),
    [("revoke", "key_revoked"), ("delete", "invalid_api_key"), ("rotate", "invalid_api_key")],
)
def test_an_end_during_the_upload_refuses_the_request(
    gateway: RunningGateway, provider: FakeProvider, command: str, code: str
) -> None:
    key = create(gateway)
    request = make_request(key.secret)
    before = len(provider.ledger())
    with connect(gateway.port) as connection:
        connection.sendall(request[:-10])
        keys(gateway, command, key.id)
        time.sleep(1)  # as long as a change may take
        connection.sendall(request[-10:])
        answer = read_answer(connection)
    assert (answer.status, answer.code) == (401, code)
    assert len(provider.ledger()) == before
