import asyncio

import pytest

from gateway_proxy.admin.passwords import Passwords, find_weakness
from gateway_proxy.admin.problem import TooMany


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(memory_kib=64)


async def test_a_password_is_known_by_its_hash_only(passwords: Passwords) -> None:
    stored = await passwords.hash("correct horse battery")
    assert stored.startswith("$argon2id$") and "correct" not in stored
    assert stored != await passwords.hash("correct horse battery")
    assert await passwords.check(stored, "correct horse battery")
    for wrong in ("correct horse batterY", "", "x" * 100_000, "\ud800", "a\0b"):
        assert not await passwords.check(stored, wrong)


@pytest.mark.parametrize("stored", [None, "", "not a hash", "$argon2id$v=19$m=64,t=1,p=1$x$y"])
async def test_nobodys_hash_matches_nothing(passwords: Passwords, stored: str | None) -> None:
    assert not await passwords.check(stored, "nobody's password")


async def test_other_writings_of_a_character_are_the_same(passwords: Passwords) -> None:
    assert await passwords.check(
        await passwords.hash("caf\u00e9 au lait, merci"), "cafe\u0301 au lait, merci"
    )


async def test_a_hash_with_other_parameters_is_outdated(passwords: Passwords) -> None:
    stored = await passwords.hash("correct horse battery")
    assert not passwords.is_outdated(stored)
    assert Passwords(memory_kib=128).is_outdated(stored)
    assert await Passwords(memory_kib=128).check(stored, "correct horse battery")


def test_the_default_is_what_owasp_lists() -> None:
    hasher = Passwords()._hasher
    assert (hasher.memory_cost, hasher.time_cost, hasher.parallelism, hasher.type.name) == (
        47_104,
        1,
        1,
        "ID",
    )


async def test_work_that_piles_up_is_refused(passwords: Passwords) -> None:
    done = await asyncio.gather(*(passwords.hash("correct horse") for _ in range(40)), return_exceptions=True)
    refused = [answer for answer in done if isinstance(answer, TooMany)]
    assert len(refused) == 24 and all(problem.retry_after_seconds == 5 for problem in refused)
    assert await passwords.hash("correct horse")
    passwords.close()


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "x" * 257,
        "aaaaaaaaaaaaaaa",
        "abababababababab",
        "123456789012345",
        "ada@example.com",
        "Ada@Example.com1",
        "passwordpassword",
        "Admin-Password-2026!",
        "qwertyuiop[]",
        "ada1234567890ada",
    ],
)
def test_easy_passwords_are_named_as_such(password: str) -> None:
    assert find_weakness(password, "Ada", "ada@example.com")


@pytest.mark.parametrize(
    "password", ["correct horse battery staple", "zwölf Zeichen", "x9$" * 4 + "ab", "x" * 240 + "abcdef"]
)
def test_long_ones_need_no_special_characters(password: str) -> None:
    assert find_weakness(password, "Ada", "ada@example.com") is None
