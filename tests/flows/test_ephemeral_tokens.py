"""Ephemeral tokens on a real gateway: made by keys, narrower than they are, paid by both, and gone when they should be."""

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.keys.service import Caller, Changed
from gateway_proxy.keys.signing import SigningFile
from tests.support.clients import say
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway, provider_toml

_CALLER = Caller("tests")
CHAT = "/v1/chat/completions"
# 1,000 tokens of output at 2 USD per million, and an input whose bound is far below the rest.
TABLES = (
    '[[models]]\nname = "{name}"\ntargets = [{{ provider = "fake", model = "fake-large" }}]\n'
    "price = {{ input = 0, output = 1000 }}\nmax_output_tokens = 4096\nmax_input_tokens = 100000\n"
)


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider) -> Iterator[RunningGateway]:
    tables = provider_toml(provider.base_url) + TABLES.format(name="chat") + TABLES.format(name="chat-2")
    with RunningGateway(tables) as running:
        yield running


def mint(gateway: RunningGateway, secret: str, **document: Any) -> CreatedKey:
    status, made = gateway.fetch("/v1/key/ephemeral", secret=secret, body=document)
    assert status == 201, made
    assert made.keys() == {"id", "token", "expires_at", "parent_id"}
    return CreatedKey(made["id"], made["token"])


def chat(gateway: RunningGateway, secret: str, tokens: int = 10, **members: Any) -> tuple[int, Any]:
    body = {"model": "chat", "messages": say(f"[[fake: tokens={tokens}]]"), "max_tokens": tokens, **members}
    return gateway.fetch(CHAT, secret=secret, body=body)


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["error"]["code"]


def test_a_token_works_and_says_who_made_it(gateway: RunningGateway) -> None:
    key = gateway.create_key("parent")
    token = mint(gateway, key.secret, ttl_seconds=60)
    assert chat(gateway, token.secret)[0] == 200
    state = gateway.key_state(token.secret)
    assert (state["id"], state["kind"], state["parent_id"]) == (token.id, "ephemeral", key.id)
    [row] = gateway.settled_rows(token.id)
    assert (row["parent_id"], row["owner"]) == (key.id, "local")
    claims = json.loads(base64.urlsafe_b64decode(token.secret.split(".")[1] + "=="))
    assert (claims["jti"], claims["parent"], claims["exp"] - claims["iat"]) == (token.id, key.id, 60)
    assert token.secret not in gateway.log_text()
    assert not [row for row in gateway.query("SELECT * FROM changes") if token.secret in str(row)]


def test_a_token_is_narrower_and_cannot_make_another(gateway: RunningGateway) -> None:
    key = gateway.create_key(allowed_models=["chat*"], allowed_endpoints=["chat"])
    token = mint(gateway, key.secret, allowed_models=["chat-2", "other"])
    assert code(chat(gateway, token.secret)) == (403, "model_not_found")
    assert chat(gateway, token.secret, model="chat-2")[0] == 200
    embedding = gateway.fetch("/v1/embeddings", secret=token.secret, body={"model": "chat-2", "input": "x"})
    assert code(embedding) == (403, "endpoint_not_allowed")
    listed = gateway.fetch("/v1/models", secret=token.secret)[1]["data"]
    assert [model["id"] for model in listed] == ["chat-2"]
    refused = gateway.fetch("/v1/key/ephemeral", secret=token.secret, body={})
    assert code(refused) == (403, "token_cannot_mint")
    for wrong in (
        {"allowed_models": ["other"]},
        {"ttl_seconds": 86_401},
        {"owner": "eve@example.com"},
        {"budget_usd": 0.5},
    ):
        status, answer = gateway.fetch("/v1/key/ephemeral", secret=key.secret, body=wrong)
        assert (status, answer["error"]["param"]) == (400, next(iter(wrong))), answer
    assert code(gateway.fetch("/v1/key/ephemeral", secret=key.secret)) == (405, "method_not_allowed")


def test_both_buckets_are_taken_from(gateway: RunningGateway) -> None:
    key = gateway.create_key(requests_per_minute=5)
    token, other = (mint(gateway, key.secret, requests_per_minute=3) for _ in range(2))
    assert [chat(gateway, token.secret)[0] for _ in range(4)] == [200, 200, 200, 429]
    assert [chat(gateway, other.secret)[0] for _ in range(3)] == [200, 200, 429]
    assert code(chat(gateway, key.secret)) == (429, "rate_limit_exceeded")


def test_slots_are_taken_from_both(gateway: RunningGateway) -> None:
    key = gateway.create_key(max_parallel_requests=1)
    token = mint(gateway, key.secret, max_parallel_requests=1)
    body = {"model": "chat", "messages": say("[[fake: mode=silent seconds=30]]")}
    with ThreadPoolExecutor(1) as thread:
        pending = thread.submit(gateway.fetch, CHAT, secret=token.secret, body=body)
        while not gateway.readiness()["running"]:
            assert not pending.done()
        assert code(chat(gateway, key.secret)) == (429, "rate_limit_exceeded")
        gateway.change_keys(lambda service, _: service.revoke(token.id, _CALLER))
        assert code(pending.result(10)) == (401, "key_revoked")
    assert chat(gateway, key.secret)[0] == 200


def test_nested_budgets_hold_through_a_restart(gateway: RunningGateway, provider: FakeProvider) -> None:
    key = gateway.create_key(budget_usd="0.10")  # 100 tokens of output
    token = mint(gateway, key.secret, budget_usd="0.04")
    other = mint(gateway, key.secret)
    assert chat(gateway, token.secret, 30)[0] == 200
    assert code(chat(gateway, token.secret, 30)) == (429, "insufficient_quota")
    assert gateway.key_state(token.secret)["budget"]["remaining_usd"] == "0.01"
    assert gateway.key_state(key.secret)["budget"]["spent_usd"] == "0.03"
    assert gateway.key_state(other.secret)["budget"]["remaining_usd"] == "0.07"
    gateway.restart()
    assert gateway.key_state(token.secret)["budget"]["remaining_usd"] == "0.01"
    assert gateway.key_state(key.secret)["budget"]["spent_usd"] == "0.03"
    assert code(chat(gateway, token.secret, 30)) == (429, "insufficient_quota")
    assert chat(gateway, other.secret, 60)[0] == 200
    assert code(chat(gateway, key.secret, 20)) == (429, "insufficient_quota")
    rows = gateway.settled_rows()
    assert (
        sum(row["charged_nanos"] for row in rows if key.id in (row["key_id"], row["parent_id"])) == 90_000_000
    )
    [spent] = gateway.query("SELECT spent_nanos FROM key_stats WHERE key_id = ?", key.id)
    assert spent["spent_nanos"] == 90_000_000


def act(gateway: RunningGateway, name: str, key_id: str) -> None:
    """Any act of the key service, live when this returns."""
    gateway.change_keys(lambda service, _: getattr(service, name)(key_id, _CALLER))


def test_a_token_lives_and_dies_with_its_key(gateway: RunningGateway) -> None:
    key = gateway.create_key()
    token = mint(gateway, key.secret)
    act(gateway, "deactivate", key.id)
    assert code(chat(gateway, token.secret)) == (401, "key_inactive")
    act(gateway, "activate", key.id)
    assert chat(gateway, token.secret)[0] == 200
    rotated = gateway.rotate_key(key.id, grace_seconds=60)
    assert chat(gateway, token.secret)[0] == 200  # in the grace, as the old secret
    status, late = gateway.fetch("/v1/key/ephemeral", secret=key.secret, body={"ttl_seconds": 3600})
    assert status == 201
    ends = datetime.fromisoformat(late["expires_at"]).timestamp()
    assert ends <= time.time() + 60  # no longer than its secret
    second = mint(gateway, rotated.secret)
    again = gateway.rotate_key(key.id)
    assert code(chat(gateway, token.secret)) == code(chat(gateway, second.secret)) == (401, "key_revoked")
    third = mint(gateway, again.secret)
    act(gateway, "revoke", key.id)
    assert code(chat(gateway, third.secret)) == (401, "key_revoked")
    act(gateway, "activate", key.id)
    assert chat(gateway, again.secret)[0] == 200
    assert code(chat(gateway, third.secret)) == (401, "key_revoked")
    fourth, fifth = (mint(gateway, again.secret) for _ in range(2))
    act(gateway, "delete", fourth.id)
    assert code(chat(gateway, fourth.secret)) == (401, "invalid_api_key")
    act(gateway, "delete", key.id)
    assert code(chat(gateway, fifth.secret)) == (401, "key_revoked")
    gateway.restart()
    for dead, refusal in (
        (second, "key_revoked"),
        (third, "key_revoked"),
        (fourth, "invalid_api_key"),
        (fifth, "key_revoked"),
    ):
        assert code(chat(gateway, dead.secret)) == (401, refusal)


@pytest.mark.parametrize("ends", ["token", "key"])
def test_the_end_cuts_what_runs(gateway: RunningGateway, ends: str) -> None:
    key = gateway.create_key()
    token = mint(gateway, key.secret, budget_usd="1")
    body = {"model": "chat", "messages": say("[[fake: mode=silent seconds=30]]"), "max_tokens": 10}
    with ThreadPoolExecutor(1) as thread:
        pending = thread.submit(gateway.fetch, CHAT, secret=token.secret, body=body)
        while not gateway.readiness()["running"]:
            assert not pending.done()
        started = time.monotonic()
        act(gateway, "revoke", token.id if ends == "token" else key.id)
        assert code(pending.result(10)) == (401, "key_revoked")
    assert time.monotonic() - started < 2
    [row] = gateway.settled_rows(token.id)
    assert (row["outcome"], row["parent_id"]) == ("revoked", key.id)


def test_a_token_of_its_own_carries_its_limits(gateway: RunningGateway) -> None:
    token = gateway.create_key(ephemeral=True, ttl_seconds=60, budget_usd="0.02", allowed_models=["chat"])
    assert token.secret.startswith("gwe_")
    assert code(chat(gateway, token.secret, model="chat-2")) == (403, "model_not_found")
    assert chat(gateway, token.secret, 15)[0] == 200
    assert code(chat(gateway, token.secret, 15)) == (429, "insufficient_quota")
    assert code(gateway.fetch("/v1/key/ephemeral", secret=token.secret, body={})) == (
        403,
        "token_cannot_mint",
    )


def test_an_expired_token_says_so(gateway: RunningGateway) -> None:
    key = gateway.create_key()
    token = mint(gateway, key.secret, ttl_seconds=1)
    while (answer := chat(gateway, token.secret, 1))[0] == 200:
        time.sleep(0.05)
    assert code(answer) == (401, "key_expired")


def test_what_is_no_token_of_ours_is_refused_alike(gateway: RunningGateway, tmp_path: Path) -> None:
    key = gateway.create_key()
    token = mint(gateway, key.secret)
    head, claims, signature = token.secret.removeprefix("gwe_").split(".")
    kid = json.loads(unbased(head))["kid"]
    said = json.loads(unbased(claims))
    public = public_key_of(gateway, kid)
    forger = SigningFile(tmp_path).load()

    def forged(header: dict[str, Any], sign: Callable[[bytes], bytes], **changed: Any) -> str:
        body = f"{based(header)}.{based({**said, **changed})}"
        return f"gwe_{body}.{base64.urlsafe_b64encode(sign(body.encode())).decode().rstrip('=')}"

    ours = {"alg": "EdDSA", "kid": kid, "typ": "JWT"}
    wrong = [
        forged(ours, forger.private.sign), forged(ours, forger.private.sign, parent=None, exp=said["exp"] + 80_000),
        forged({**ours, "kid": forger.kid}, forger.private.sign), forged({"alg": "none", "kid": kid}, lambda _: b""),
        forged({"alg": "none", "kid": kid}, lambda _: b"\0" * 64),
        forged({"alg": "HS256", "kid": kid}, lambda body: hmac.digest(public, body, "sha256")),
        forged({"alg": "HS256", "kid": kid}, lambda body: hmac.digest(public.hex().encode(), body, "sha512")),
        forged({**ours, "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}}, forger.private.sign),
        f"gwe_{head}.{claims}.{signature[:-1]}", f"{token.secret}=", f"{token.secret}A", f"{token.secret}.{signature}",
        f"gwe_{head}.{based({**said, 'allowed_models': None})}.{signature}", f"gwe_{head}..{signature}", "gwe_", "gwe_a.b.c",
        "gwe_" + "A" * 3500, "gwe_" + "." * 60, f"gwe_{'A' * 3100}.{claims}.{signature}", f"gwk_{head}.{claims}.{signature}",
        token.secret.swapcase(),
    ]  # fmt: skip
    for secret in wrong:
        status, answer = gateway.fetch(CHAT, secret=secret, body={"model": "chat", "messages": say("hi")})
        assert (status, answer["error"]["code"]) == (401, "invalid_api_key"), secret[:60]
    assert chat(gateway, token.secret)[0] == 200
    assert "Traceback" not in gateway.log_text() and signature not in gateway.log_text()


def test_a_new_signing_pair_is_in_force_at_once(gateway: RunningGateway) -> None:
    key = gateway.create_key()
    before = mint(gateway, key.secret)

    def rotate(at_once: bool) -> None:
        async def change(service: Any, _: str) -> Changed:
            await service.rotate_signing_key(_CALLER, at_once=at_once)
            return await service.create(
                {"name": "marker"}, _CALLER, organization="default"
            )  # what to wait for

        gateway.change_keys(change)

    rotate(at_once=False)
    after = mint(gateway, key.secret)
    kids = [json.loads(unbased(token.secret[4:].split(".")[0]))["kid"] for token in (before, after)]
    assert kids[0] != kids[1]
    assert chat(gateway, before.secret)[0] == chat(gateway, after.secret)[0] == 200
    rotate(at_once=True)
    for token in (before, after):
        assert code(chat(gateway, token.secret)) == (401, "invalid_api_key")
    assert chat(gateway, mint(gateway, key.secret).secret)[0] == 200


def based(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unbased(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def public_key_of(gateway: RunningGateway, kid: str) -> bytes:
    [row] = gateway.query("SELECT public_key FROM signing_keys WHERE kid = ?", kid)
    return bytes.fromhex(row["public_key"])
