"""Secrets of the settings: the references `env:NAME` and `file:PATH`, and the wrapper that hides what they name.

Promises that no message, repr or dump from here holds a secret's value, not even a wrong one. Where the pepper is
generated belongs to the key store; checking what a secret is good for belongs to its user.
"""

import base64
import binascii
import hmac
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

MAX_SECRET_BYTES = 65_536

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Secret:
    """A value that only `reveal()` shows; equality takes constant time."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that sends or compares it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Secret cannot be pickled: its value would leave the process")


@dataclass(frozen=True)
class SecretReference:
    """Where a secret is to be found: `env` with a variable's name, or `file` with an absolute path."""

    kind: Literal["env", "file"]
    place: str

    @property
    def path(self) -> Path | None:
        """The file that holds the secret; None for a variable."""
        return Path(self.place) if self.kind == "file" else None

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}"

    def read(self, environment: Mapping[str, str]) -> Secret:
        """The secret without the blanks around it.

        Raises ValueError, naming the place but never the value, when it is missing, empty or unreadable.
        """
        if self.kind == "env":
            if self.place not in environment:
                raise ValueError(f"environment variable {self.place} is not set; set it, or write file:PATH")
            value, where = environment[self.place], f"environment variable {self.place}"
        else:
            value, where = _read_secret_file(Path(self.place)), f"file {self.place}"
        value = value.strip()
        if not value:
            raise ValueError(f"{where} is empty; put the secret into it")
        if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in value):
            raise ValueError(f"{where} holds line breaks or control characters; keep one secret in it")
        return Secret(value)


def parse_reference(text: object, folder: Path) -> SecretReference:
    """`env:NAME` or `file:PATH` (relative to `folder`). Raises ValueError that does not repeat a literal secret."""
    if isinstance(text, str) and text.startswith("env:"):
        if not _ENVIRONMENT_NAME.match(text[4:]):
            raise ValueError("is no environment variable's name; write env:NAME with letters, digits and _")
        return SecretReference("env", text[4:])
    if isinstance(text, str) and text.startswith("file:"):
        if not text[5:] or "\0" in text:
            raise ValueError("names no file; write file:PATH")
        return SecretReference("file", str(folder / text[5:]))
    raise ValueError("must not hold the secret itself; write env:NAME or file:PATH")


def check_webhook_secret(secret: Secret) -> None:
    """Raise ValueError unless it is `whsec_` + base64 of 24 to 64 bytes (Standard Webhooks, "Signature scheme")."""
    value = secret.reveal()
    try:
        size = len(base64.b64decode(value.removeprefix("whsec_"), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not value.startswith("whsec_") or not 24 <= size <= 64:
        raise ValueError(
            "is no webhook secret; it must be whsec_ followed by the base64 of 24 to 64 random bytes"
        )


def check_header_secret(secret: Secret) -> None:
    """Raise ValueError unless the secret can stand in an HTTP header (RFC 9110, 5.5: visible ASCII)."""
    value = secret.reveal()
    if not value.isascii() or " " in value:
        raise ValueError(
            "cannot be sent in a header: it holds blanks or characters outside ASCII; check the value"
        )


def _read_secret_file(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError(f"{path} is not a regular file; write file:PATH of the file with the secret")
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
    except FileNotFoundError:
        raise ValueError(f"file {path} does not exist; create it, or write env:NAME") from None
    except OSError as error:
        raise ValueError(f"file {path} cannot be read ({error.strerror}); check its owner and mode") from None
    if len(content) > MAX_SECRET_BYTES:
        raise ValueError(f"file {path} is larger than {MAX_SECRET_BYTES} bytes; it cannot be a secret")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ValueError(f"file {path} is not UTF-8 text; keep the secret in it as text") from None
