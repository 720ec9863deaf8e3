"""`POST /v1/key/ephemeral`, beside a real gateway in this loop: what it answers and how it refuses."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway_proxy.keys.service import ServiceError
from gateway_proxy.proxy.minting import MAX_BODY_BYTES, MINT_PATH
from gateway_proxy.storage.database import StoreError
from tests.support.in_process import serve


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Any]:
    """POST to the route with the served key; `post.gateway` is the gateway."""
    async with serve(tmp_path, "") as served, aiohttp.ClientSession() as session:

        async def send(data: bytes = b"", secret: str = served.secret, path: str = MINT_PATH):
            headers = {"authorization": f"Bearer {secret}"}
            async with session.post(
                f"http://127.0.0.1:{served.port}{path}", data=data, headers=headers
            ) as answer:
                return answer.status, await answer.json(), answer.headers.copy()

        send.gateway = served.gateway  # type: ignore[attr-defined]
        yield send


async def test_a_token_is_in_force_when_it_is_answered(post) -> None:
    gateway = post.gateway
    key_id = next(iter((await gateway.store.keys.load_keys())[1])).key_id
    status, made, headers = await post(b'{"budget_usd": "1", "ttl_seconds": 5}')
    assert status == 201 and made["parent_id"] == key_id and made["expires_at"].endswith("Z")
    assert headers["Cache-Control"] == "no-store" and headers["x-request-id"].startswith("req_")
    found = gateway._find_key(made["token"], gateway.clock.now_ms())
    assert found is gateway.tokens.find(gateway._digester.digest(made["token"]), made["token"], 0)
    assert gateway.limiter.budget_state(found.key).remaining_nanos == 10**9
    change = (await gateway.store.keys.list_changes(limit=1))[0]
    assert (change.action, change.key_id, change.actor) == ("key.minted", made["id"], key_id)
    assert (await post(secret=made["token"]))[1]["error"]["code"] == "token_cannot_mint"


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"{", 400, "invalid_json", None),
        (b"[]", 400, "invalid_type", None),
        (b'{"TTL_seconds": 5}', 400, "invalid_json", "ttl_seconds"),
        (b'{"ttl_seconds": 0, "x": 1}', 400, "invalid_type", "ttl_seconds"),
        (b'{"allowed_models": {}}', 400, "invalid_type", "allowed_models"),
        (b" " * (MAX_BODY_BYTES + 1), 413, "body_too_large", None),
    ],
)
async def test_what_cannot_be_read_is_refused(
    post, body: bytes, status: int, code: str, param: str | None
) -> None:
    answered, answer, headers = await post(body)
    assert (answered, answer["error"]["code"], answer["error"]["param"]) == (status, code, param)
    assert headers["x-gateway-error"] == code


async def test_faults_of_the_house_are_told_as_such(post, monkeypatch: pytest.MonkeyPatch) -> None:
    mint = post.gateway.plane.acts[MINT_PATH].__self__
    for error, status, code in (
        (StoreError("the disk is gone"), 503, "store_stale"),
        (ServiceError("unavailable", "the signing key /secret/path"), 503, "overloaded"),
        (ServiceError("conflict", "key_x has too many"), 409, "conflict"),
        (ServiceError("not_allowed", "no"), 403, "token_cannot_mint"),
    ):

        async def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(mint._service, "mint", fail)
        answered, answer, _ = await post()
        assert (answered, answer["error"]["code"]) == (status, code)
        assert "disk" not in str(answer) and "/secret/path" not in str(answer)


async def test_other_methods_and_secrets_are_refused(post) -> None:
    assert (await post(secret="gwk_none"))[1]["error"]["code"] == "invalid_api_key"
    assert (await post(path=MINT_PATH + "/x"))[1]["error"]["code"] == "route_not_found"
