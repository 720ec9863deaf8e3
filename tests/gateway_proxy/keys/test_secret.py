"""Secrets: fixed vectors, a checksum that catches typing errors, and digests that depend on the pepper."""

import hashlib
import hmac
import random
import string
import time
import zlib

import pytest

from gateway_proxy.keys.secret import Digester, compose, digest, looks_like_secret, mint, pepper_id, preview

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase


def base62(value: int, width: int) -> str:
    """An independent encoder to judge the real one by."""
    text = ""
    while value:
        text = ALPHABET[value % 62] + text
        value //= 62
    return text.rjust(width, "0")


@pytest.mark.parametrize(
    ("randomness", "secret"),
    [
        (bytes(32), "gwk_00000000000000000000000000000000000000000000oVEGz"),
        (bytes(31) + b"\x3d", "gwk_000000000000000000000000000000000000000000z3Ph5vv"),
        (b"\xff" * 32, "gwk_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp12UMV4f"),
    ],
    ids=["zeros", "one digit", "ones"],
)
def test_golden_vectors(randomness: bytes, secret: str) -> None:
    assert compose("gwk", randomness) == secret
    assert looks_like_secret(secret)


@pytest.mark.parametrize("prefix", ["gwk", "gwa"])
def test_form_against_an_independent_encoder(prefix) -> None:
    source = random.Random(7)
    for _ in range(500):
        randomness = source.randbytes(32)
        checked = f"{prefix}_{base62(int.from_bytes(randomness, 'big'), 43)}"
        assert compose(prefix, randomness) == checked + base62(zlib.crc32(checked.encode()), 6)


def test_compose_takes_only_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        compose("gwk", bytes(31))


def test_minted_secrets_are_distinct_and_well_formed() -> None:
    secrets = {mint("gwk") for _ in range(1000)}
    assert len(secrets) == 1000
    assert all(len(secret) == 53 and looks_like_secret(secret) for secret in secrets)


@pytest.mark.slow
def test_random_strings_of_the_right_form_are_not_secrets() -> None:
    source = random.Random(11)
    hits = 0
    for _ in range(100_000):
        hits += looks_like_secret("gwk_" + "".join(source.choices(ALPHABET, k=49)))
    assert hits == 0


def test_every_single_typing_error_is_noticed() -> None:
    secret = compose("gwk", bytes(range(32)))
    for position in range(4, len(secret)):
        for other in ALPHABET:
            if other != secret[position]:
                assert not looks_like_secret(secret[:position] + other + secret[position + 1 :])


def test_neighbours_that_change_places_are_noticed() -> None:
    secret = compose("gwa", bytes(range(32)))
    for i in range(len(secret) - 1):
        if secret[i] != secret[i + 1]:
            assert not looks_like_secret(secret[:i] + secret[i + 1] + secret[i] + secret[i + 2 :])


@pytest.mark.parametrize(
    "change", [str.upper, str.lower, lambda s: s + "\n", lambda s: s[:-1], lambda s: " " + s]
)
def test_near_misses(change) -> None:
    assert not looks_like_secret(change(compose("gwk", bytes(range(32)))))


@pytest.mark.parametrize("text", ["", "gwk_", "é" * 53, "gwk_" + "٣" * 49, "\ud800" * 53, "gwe_" + "0" * 49])
def test_garbage_is_refused_quietly(text: str) -> None:
    assert not looks_like_secret(text)


def test_preview_shows_first_eight_and_four_before_the_checksum() -> None:
    secret = "gwk_ABCD" + "x" * 35 + "wxyz" + "123456"
    assert preview(secret) == "gwk_ABCD…wxyz"


def test_digest_is_hmac_sha256() -> None:
    assert digest(b"pepper", "gwk_x") == hmac.new(b"pepper", b"gwk_x", hashlib.sha256).digest()
    assert digest(b"pepper", "gwk_x") != digest(b"other", "gwk_x")
    assert len(digest(b"pepper", "\ud800")) == 32


def test_pepper_id_is_stable_short_and_tells_peppers_apart() -> None:
    assert pepper_id(b"a" * 32) == pepper_id(b"a" * 32) != pepper_id(b"b" * 32)
    assert len(pepper_id(b"a" * 32)) == 16


def test_recognition_and_digest_are_cheap() -> None:
    secret = mint("gwk")
    pepper = bytes(32)

    def best(work) -> float:
        rounds = []
        for _ in range(20):
            begin = time.perf_counter()
            for _ in range(500):
                work()
            rounds.append((time.perf_counter() - begin) / 500)
        return min(rounds) * 1e6

    assert best(lambda: looks_like_secret(secret)) < 3
    assert best(lambda: digest(pepper, secret)) < 6


@pytest.mark.parametrize("length", [16, 32, 63, 64, 65, 200])
def test_the_digester_agrees_with_the_standard_library(length: int) -> None:
    pepper = bytes(range(length))
    for secret in ("", "gwk_x", "gwk_" + "0" * 49, "ü\ud800", "x" * 500):
        assert Digester(pepper).digest(secret) == digest(pepper, secret)
