"""Passwords: judged, hashed and checked, off the event loop and never many at a time.

Argon2id with the parameters that OWASP's Password Storage Cheat Sheet lists for one lane (46 MiB, one pass): other cores
belong to the data plane. A check for an unknown account costs as much as for a known one.
"""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import Argon2Error, InvalidHashError

from gateway_proxy.admin.problem import TooMany

MIN_LENGTH = 12
MAX_LENGTH = 256
_THREADS = 2
_MOST_WAITING = 16
# What guessers try first, with digits and signs around it.
_COMMON = (
    "password", "passwort", "passwd", "qwertzuiop", "qwertyuiop", "qwerty", "asdfghjkl", "asdfgh", "zxcvbnm",
    "abcdefghijklmnopqrstuvwxyz", "abcdefgh", "abcdef", "abcd", "letmein", "welcome", "iloveyou", "administrator",
    "admin", "changeme", "secret", "monkey", "dragon", "football", "sunshine", "master", "gateway", "proxy",
)  # fmt: skip
_T = TypeVar("_T")


def find_weakness(password: str, *personal: str) -> str | None:
    """What is wrong with a new password, None if nothing. `personal` are texts it must not consist of."""
    if len(password) < MIN_LENGTH:
        return f"needs at least {MIN_LENGTH} characters"
    if len(password) > MAX_LENGTH:
        return f"may have at most {MAX_LENGTH} characters"
    if len(set(password)) < 5:
        return "repeats too few characters; use a longer sentence or a password manager"
    if password.isdigit():
        return "must not consist of digits only"
    rest = _letters(password)
    for text in personal:
        name, _, host = text.rpartition("@")
        for part in (text, name, host):
            rest = rest.replace(_letters(part), "") if len(part) >= 3 else rest
    for word in _COMMON:
        rest = rest.replace(word, "")
    if len(rest) < 4 and len(rest) < len(_letters(password)):
        return "consists of your name, your address or words that are tried first; add words of your own"
    return None


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalpha())


class Passwords:
    """Raises TooMany when more work waits than a human could cause."""

    def __init__(self, *, memory_kib: int = 47_104, passes: int = 1) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1, type=Type.ID)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="passwords")
        self._waiting = 0
        self._decoy = ""

    async def hash(self, password: str) -> str:
        """The hash to store."""
        return await self._do(lambda: self._hasher.hash(_prepare(password)))

    async def check(self, stored: str | None, password: str) -> bool:
        """Whether it is the password; None = nobody's, which takes as long."""
        return await self._do(lambda: self._check(stored, password))

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """End the threads, which finish what they do."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _check(self, stored: str | None, password: str) -> bool:
        if not self._decoy:
            self._decoy = self._hasher.hash("nobody's password")
        try:
            matches = self._hasher.verify(stored or self._decoy, _prepare(password))
        except (Argon2Error, InvalidHashError):
            return False
        return matches and bool(stored)

    async def _do(self, work: Callable[[], _T]) -> _T:
        if self._waiting >= _MOST_WAITING:
            raise TooMany("too many sign-ins at this moment; try again in a few seconds", 5)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def _prepare(password: str) -> bytes:
    # NFKC: the same keys give other code points on other systems (NIST SP 800-63B, 5.1.1.2). Cut: no long work.
    return unicodedata.normalize("NFKC", password[:MAX_LENGTH]).encode("utf-8", "surrogatepass")
