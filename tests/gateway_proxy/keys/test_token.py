"""Tokens as text: there and back, and nothing believed that was not signed here."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway_proxy.core.key import BudgetPeriod, Key, McpMode, McpScope
from gateway_proxy.keys.signing import SigningFile
from gateway_proxy.keys.token import AUDIENCE, MAX_TOKEN_CHARACTERS, PREFIX, TooLong, read_token, write_token
from tests.support.ephemeral import NOW, PARENT, believing, make_token_key, row_of, signer

FULL = make_token_key(
    generation=3,
    requests_per_minute=60,
    tokens_per_minute=0,
    burst=5,
    max_parallel_requests=2,
    budget_nanos=1_500_000_000,
    budget_period=BudgetPeriod.DAY,
    budget_timezone="Europe/Berlin",
    allowed_providers=("openai",),
    allowed_models=("gpt-4o", "claude-*"),
    allowed_endpoints=("chat",),
    ip_allowlist=("10.0.0.0/8",),
    mcp=McpScope(True, McpMode.ALLOW_LIST, ("github",), {"github": ("search_issues",)}),
)


def claims_of(secret: str) -> dict:
    return jwt.decode(secret.removeprefix(PREFIX), options={"verify_signature": False})


def sign(claims: dict, header: dict | None = None) -> str:
    """Whatever it says: a library would refuse to write some of it."""
    header = header or {"alg": "EdDSA", "kid": signer().kid}
    body = f"{based(json.dumps(header).encode())}.{based(json.dumps(claims).encode())}"
    return f"{PREFIX}{body}.{based(signer().private.sign(body.encode()))}"


def unbased(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def based(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.mark.parametrize(
    "key", [FULL, make_token_key(), make_token_key(None)], ids=["full", "plain", "alone"]
)
def test_a_token_says_what_its_key_may(key: Key) -> None:
    secret = write_token(key, signer())
    verified = read_token(secret, believing(), NOW)
    assert verified is not None and verified.kid == signer().kid
    assert replace(verified.key, preview="") == key
    assert verified.key.preview == f"{secret[:8]}…{secret[-4:]}"
    claims = claims_of(secret)
    assert {m: claims[m] for m in ("iss", "aud", "jti", "parent", "org", "iat", "exp")} == {
        "iss": signer().gateway_id, "aud": AUDIENCE, "jti": key.id, "parent": key.parent_id, "org": "default",
        "iat": NOW // 1000, "exp": NOW // 1000 + 3600,
    }  # fmt: skip
    assert jwt.get_unverified_header(secret.removeprefix(PREFIX)) == {
        "alg": "EdDSA", "kid": signer().kid, "typ": "JWT",
    }  # fmt: skip
    assert len(secret) <= MAX_TOKEN_CHARACTERS


def test_an_expired_one_is_read_and_one_from_the_future_is_not() -> None:
    secret = write_token(FULL, signer())
    assert read_token(secret, believing(), NOW + 10**9) is not None
    assert read_token(secret, believing(), NOW - 30_000) is not None
    assert read_token(secret, believing(), NOW - 31_001) is None


def test_what_is_inherited_is_left_out_to_make_it_fit() -> None:
    names = tuple(f"model-{n:04}" for n in range(300))
    key = replace(FULL, allowed_models=names)
    with pytest.raises(TooLong, match="too long for a token of 3072") as caught:
        write_token(key, signer())
    assert caught.value.member == "allowed_models"
    secret = write_token(key, signer(), frozenset(("allowed_models",)))
    verified = read_token(secret, believing(), NOW)
    assert verified is not None
    assert verified.key.allowed_models is None and verified.key.allowed_providers == ("openai",)


def test_only_a_believed_pair_counts(tmp_path: Path) -> None:
    other = SigningFile(tmp_path).load()
    secret = write_token(FULL, other)
    assert read_token(secret, believing(), NOW) is None
    assert read_token(secret, believing(row_of(other)), NOW) is not None
    assert read_token(secret, believing(row_of(other, NOW)), NOW) is None
    assert read_token(secret, believing(row_of(other, NOW + 1)), NOW) is not None


def test_a_pair_under_the_name_of_another_counts_for_nothing(tmp_path: Path) -> None:
    thief = replace(SigningFile(tmp_path).load(), kid=signer().kid, gateway_id=signer().gateway_id)
    assert read_token(write_token(FULL, thief), believing(), NOW) is None


def test_the_algorithm_cannot_be_swapped() -> None:
    claims = claims_of(write_token(FULL, signer()))
    public = signer().private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    body = f"{based(json.dumps({'alg': 'HS256', 'kid': signer().kid}).encode())}.{based(json.dumps(claims).encode())}"
    for secret in (pem, pem.decode().strip().encode(), signer().public_key):
        algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        assert (
            read_token(f"{PREFIX}{body}.{based(algorithm.sign(body.encode(), secret))}", believing(), NOW)
            is None
        )
    bare = jwt.encode(claims, None, "none", headers={"kid": signer().kid})
    for signature in ("", "A" * 86):
        assert read_token(f"{PREFIX}{bare}{signature}", believing(), NOW) is None
    good = write_token(FULL, signer()).removeprefix(PREFIX).split(".")
    for algorithm in ("none", "None", "HS256", "ES256", "EdDSA "):
        header = based(json.dumps({"alg": algorithm, "kid": signer().kid}).encode())
        assert read_token(f"{PREFIX}{header}.{good[1]}.{good[2]}", believing(), NOW) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "other"}, {"aud": [AUDIENCE]}, {"aud": None}, {"iss": "gtw_other"}, {"iss": None}, {"iss": 1}, {"jti": ""},
        {"jti": "tok_01k0000000000000000000000t"}, {"jti": 7}, {"parent": "key_x"}, {"parent": 1}, {"gen": "1"},
        {"gen": True}, {"iat": 1.5}, {"iat": "now"}, {"exp": None}, {"exp": "never"}, {"org": None}, {"org": 3},
        {"owner": ["x"]}, {"name": ""}, {"name": None}, {"allowed_models": "gpt-4o"}, {"budget_usd": 1.5}, {"mcp": []},
        {"exp": 10**30}, {"iat": -1, "exp": -1},
    ],
)  # fmt: skip
def test_signed_nonsense_is_refused(wrong: dict) -> None:
    claims = claims_of(write_token(FULL, signer()))
    assert read_token(sign(claims), believing(), NOW) is not None
    assert read_token(sign({**claims, **wrong}), believing(), NOW) is None
    for member in wrong:
        assert read_token(
            sign({m: v for m, v in claims.items() if m != member}), believing(), NOW
        ) is None or (member in ("allowed_models", "budget_usd", "mcp"))


@pytest.mark.parametrize("kid", [None, "", "unknown", 7, {}, [], "../../etc/passwd", "a" * 300])
def test_an_unknown_pair_is_refused(kid: object) -> None:
    claims = claims_of(write_token(FULL, signer()))
    secret = sign(claims, {"alg": "EdDSA", "kid": kid})
    assert read_token(secret, believing(), NOW) is None


def test_a_token_has_one_spelling() -> None:
    secret = write_token(FULL, signer())
    head, claims, signature = secret.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    siblings = [signature[:-1] + c for c in alphabet if unbased(signature[:-1] + c) == unbased(signature)]
    assert len(siblings) == 16
    spellings = [f"{head}.{claims}.{other}" for other in siblings if other != signature]
    spellings += [
        secret + "=", secret + "==", f"{secret}\n", f" {secret}", f"{head}=.{claims}.{signature}", secret + ".",
        f"{head}.{claims}=.{signature}", f"{head}.{claims}.{signature[:40]}\n{signature[40:]}", secret.upper(),
        secret.replace("-", "+").replace("_", "/") + "+", f"{head}..{signature}", f"{head}.{claims}.", secret[:-1],
        secret.removeprefix("gwe_"), f"gwk_{secret[4:]}", f"gwe_gwe_{secret[4:]}", f"{secret}é", "gwe_", "gwe_..",
        f"{secret}\ud800",
    ]  # fmt: skip
    for spelling in spellings:
        assert spelling == secret or read_token(spelling, believing(), NOW) is None, spelling[-20:]


def test_garbage_is_refused_without_a_fault() -> None:
    alone = Ed25519PrivateKey.generate()
    for body in (b"", b"[]", b"null", b'"x"', b"{", b"\xff", b"[" * 1500, b'{"a":' * 400):
        for header in (b'{"alg":"EdDSA","kid":"%s"}' % signer().kid.encode(), body):
            text = f"{based(header)}.{based(body)}"
            for private in (alone, signer().private):
                signed = f"{PREFIX}{text}.{based(private.sign(text.encode()))}"
                assert read_token(signed, believing(), NOW) is None


def test_every_changed_character_breaks_it() -> None:
    secret = write_token(make_token_key(), signer())
    for at in range(len(PREFIX), len(secret), 7):
        changed = secret[:at] + ("A" if secret[at] != "A" else "B") + secret[at + 1 :]
        assert read_token(changed, believing(), NOW) is None


def test_an_oversized_one_is_refused_before_it_is_read() -> None:
    claims = claims_of(write_token(FULL, signer())) | {"name": "n"}
    large = sign({**claims, "padding": "x" * 3000})
    assert len(large) > MAX_TOKEN_CHARACTERS and read_token(large, believing(), NOW) is None
    assert PARENT.id in json.dumps(claims)
