"""Stored responses: whoever had one made can name it, fetch it and delete it, and nobody else can tell that it is there."""

import sqlite3
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.support.clients import sdk
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway, provider_toml
from tests.support.money import model_toml
from tests.support.raw import make_request, send
from tests.support.waiting import wait_until

EXTRA = "max_input_tokens = 1000\nmax_output_tokens = 100"
READS = (("GET", ""), ("GET", "/input_items?limit=2"), ("POST", "/cancel"), ("DELETE", ""))


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, run_gateway: Callable[..., RunningGateway]) -> RunningGateway:
    tables = provider_toml(provider.base_url) + model_toml(extra=EXTRA)
    tables += provider_toml(provider.base_url, name="quiet", extra="allow_stateful = false")
    tables += model_toml("quiet", targets=["quiet"], extra=EXTRA)
    tables += model_toml("both", targets=["quiet", "fake"], extra=EXTRA)
    return run_gateway(tables)


@pytest.fixture(scope="module")
def ada(gateway: RunningGateway) -> CreatedKey:
    return gateway.create_key("ada", budget_usd="5")


@pytest.fixture(scope="module")
def eve(gateway: RunningGateway) -> CreatedKey:
    return gateway.create_key("eve")


def read(gateway: RunningGateway, secret: str, method: str, path: str) -> tuple[int, str]:
    line = f"{method} /v1/responses/{path} HTTP/1.1".encode()
    framing = None if method == "POST" else b""
    answer = send(gateway.port, make_request(secret, line=line, body=b"", framing=framing))
    return answer.status, answer.code


def test_a_conversation_through_the_sdk(
    gateway: RunningGateway, ada: CreatedKey, provider: FakeProvider
) -> None:
    with sdk(gateway, ada.secret, max_retries=0) as client:
        first = client.responses.create(model="chat", input="hello", max_output_tokens=20)
        bills = len(provider.ledger())
        assert client.responses.retrieve(first.id).output_text == first.output_text
        assert client.responses.input_items.list(first.id, limit=2).data[0].id == "msg_in"
        assert client.responses.cancel(first.id).status == "cancelled"
        assert len(provider.ledger()) == bills
        with client.responses.create(
            model="chat", input="go on", previous_response_id=first.id, max_output_tokens=20, stream=True
        ) as stream:
            events = list(stream)
        last: Any = events[-1]
        assert last.response.previous_response_id == first.id
        item = last.response.output[0].id
        again = client.responses.create(
            model="both", input=[{"type": "item_reference", "id": item}], max_output_tokens=20
        )
        assert again.output_text
        client.responses.delete(last.response.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.create(model="chat", input="x", previous_response_id=last.response.id)
    rows = gateway.settled_rows(ada.id)
    reads = [row for row in rows if row["reserved_nanos"] == 0]
    assert len(reads) == 4 and all(row["charged_nanos"] == 0 for row in reads)
    context = next(row for row in rows if row["reserved_nanos"] > 2_500 * 1000)
    assert context["model_requested"] == "chat"  # max_input_tokens, not the few bytes of the body
    assert {row["provider"] for row in rows} == {"fake"}


def test_strangers_find_nothing(
    gateway: RunningGateway, ada: CreatedKey, eve: CreatedKey, provider: FakeProvider
) -> None:
    with sdk(gateway, ada.secret, max_retries=0) as client:
        mine = client.responses.create(model="chat", input="hello", max_output_tokens=20)
    before = provider.stats()["requests"]
    for method, what in READS:
        for id in (mine.id, "resp_unknown"):
            assert read(gateway, eve.secret, method, id + what) == (404, "response_not_found")
        assert read(gateway, "", method, mine.id + what)[0] == 401
    with sdk(gateway, eve.secret, max_retries=0) as client:
        with pytest.raises(openai.NotFoundError) as caught:
            client.responses.create(model="chat", input="x", previous_response_id=mine.id)
        assert (caught.value.code, caught.value.param) == (
            "previous_response_not_found",
            "previous_response_id",
        )
        for members in (
            {"input": [{"type": "item_reference", "id": mine.output[0].id}]},
            {"input": "x", "conversation": "conv_1"},
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
        ):
            with pytest.raises(openai.NotFoundError):
                client.responses.create(model="chat", extra_body=members)
    assert provider.stats()["requests"] == before
    assert read(gateway, ada.secret, "GET", mine.id)[0] == 200


def test_reads_pass_the_pipeline(gateway: RunningGateway, provider: FakeProvider) -> None:
    key = gateway.create_key("limited")
    with sdk(gateway, key.secret, max_retries=0) as client:
        mine = client.responses.create(model="chat", input="hello").id
    before = provider.stats()["requests"]
    for members, refusal in (
        ({"allowed_models": []}, (403, "model_not_found")),
        ({"allowed_providers": []}, (403, "provider_not_allowed")),
        ({"allowed_endpoints": []}, (403, "endpoint_not_allowed")),
        ({"ip_allowlist": ["192.0.2.0/24"]}, (403, "ip_not_allowed")),
        ({"requests_per_minute": 0}, (429, "rate_limit_exceeded")),
    ):
        gateway.update_key(key.id, **members)
        assert {read(gateway, key.secret, method, mine + what) for method, what in READS} == {refusal}
        gateway.update_key(key.id, **dict.fromkeys(members))
    assert read(gateway, key.secret, "POST", mine) == (405, "method_not_allowed")
    assert read(gateway, key.secret, "GET", f"{mine}/files") == (404, "route_not_found")
    assert provider.stats()["requests"] == before
    assert [read(gateway, key.secret, method, mine + what)[0] for method, what in READS] == [200] * 4


def test_a_token_shares_with_its_parent(gateway: RunningGateway, ada: CreatedKey, eve: CreatedKey) -> None:
    minted = gateway.fetch("/v1/key/ephemeral", secret=ada.secret, body={"ttl_seconds": 60})[1]["token"]
    with sdk(gateway, ada.secret, max_retries=0) as parent, sdk(gateway, minted, max_retries=0) as token:
        hers = parent.responses.create(model="chat", input="hello", max_output_tokens=20).id
        its = token.responses.create(
            model="chat", input="x", previous_response_id=hers, max_output_tokens=20
        ).id
        assert token.responses.retrieve(hers).id == hers
        assert parent.responses.retrieve(its).id == its
    assert read(gateway, eve.secret, "GET", its) == (404, "response_not_found")


def test_background_has_no_bound(gateway: RunningGateway, ada: CreatedKey) -> None:
    with sdk(gateway, ada.secret, max_retries=0) as client:
        with pytest.raises(openai.PermissionDeniedError) as caught:
            client.responses.create(model="chat", input="x", background=True)
    assert caught.value.code == "cost_unbounded"


def test_where_nothing_is_stored(gateway: RunningGateway, eve: CreatedKey) -> None:
    with sdk(gateway, eve.secret, max_retries=0) as client:
        made: Any = client.responses.create(model="quiet", input="x")
        assert made.model_extra["store"] is False
        assert read(gateway, eve.secret, "GET", made.id) == (403, "stateful_not_allowed")
        for members in ({"store": True}, {"previous_response_id": made.id}, {"background": True}):
            with pytest.raises(openai.PermissionDeniedError) as caught:
                client.responses.create(model="quiet", input="x", **members)
            assert caught.value.code == "stateful_not_allowed"


def test_ids_outlive_the_process(gateway: RunningGateway, eve: CreatedKey, ada: CreatedKey) -> None:
    with sdk(gateway, eve.secret, max_retries=0) as client:
        mine = client.responses.create(model="chat", input="hello").id
    wait_until(lambda: _is_written(gateway, mine))
    gateway.restart()
    assert read(gateway, eve.secret, "GET", mine)[0] == 200
    assert read(gateway, ada.secret, "GET", mine) == (404, "response_not_found")


def _is_written(gateway: RunningGateway, id: str) -> bool:
    with sqlite3.connect(f"file:{gateway.store_path}?mode=ro", uri=True) as store:
        return store.execute("SELECT 1 FROM made_ids WHERE id = ?", (id,)).fetchone() is not None
