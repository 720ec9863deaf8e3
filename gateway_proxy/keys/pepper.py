"""The pepper: the HMAC key under which secrets are stored, and the guard against losing or swapping it.

A pepper is generated only while the store is not in use, which is to say that it holds no secret and no gateway runs
on it: a new one would silently void every secret that was given out, and what is made next would be unknown to the
gateway. The store keeps the fingerprint, so that a mix-up is refused before anything is written.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from gateway_proxy.config import SecretReference
from gateway_proxy.keys.private_file import create_private_file
from gateway_proxy.keys.secret import pepper_id

MIN_PEPPER_LENGTH = 16
_FACT = "pepper_id"


class PepperError(Exception):
    """The pepper cannot be used; the text says why and what to do, and holds nothing of the pepper."""


class Facts(Protocol):
    """Facts that the store keeps about itself."""

    async def get_meta(self, name: str) -> str | None: ...

    async def has_live_gateway(self) -> bool:
        """Whether a gateway runs on the store."""
        ...

    async def replace_pepper(self, fingerprint: str) -> bool:
        """Keep the fingerprint, unless a secret is stored or a gateway runs; whether it is kept."""
        ...


class Secrets(Protocol):
    async def has_secrets(self) -> bool:
        """Whether any secret is stored."""
        ...


async def ready_pepper(
    reference: SecretReference, environment: Mapping[str, str], facts: Facts, stored: Secrets
) -> bytes:
    """The pepper, generated if the file is missing and the store is not in use yet.

    Raises PepperError, with nothing changed.
    """
    known = await facts.get_meta(_FACT)
    has_secrets = await stored.has_secrets()
    path = reference.path
    if path is not None and not path.exists():
        if has_secrets:
            raise PepperError(
                f"the pepper file {path} is missing, but the store holds secrets made with it; restore the file"
            )
        if await facts.has_live_gateway():
            raise PepperError(
                f"the pepper file {path} is missing, but a gateway runs on the store with one; name that one, or stop the gateway"
            )
        _generate(path)
    pepper = _read(reference, environment)
    fingerprint = pepper_id(pepper)
    if fingerprint == known:
        return pepper
    if has_secrets or not await facts.replace_pepper(fingerprint):
        whose = "the one that the store's secrets were made with"
        if not has_secrets:
            whose = "that of a gateway which runs on the store or ended less than 15 seconds ago"
        raise PepperError(
            f"the pepper in {reference} is not {whose}"
            f" (fingerprint {fingerprint}, needed {known or 'unknown'}); restore the right one"
        )
    return pepper


def read_pepper(reference: SecretReference, environment: Mapping[str, str]) -> bytes:
    """The pepper as it is, where the store cannot say whether it is the right one. Raises PepperError."""
    path = reference.path
    if path is not None and not path.exists():
        raise PepperError(f"the pepper file {path} is missing")
    return _read(reference, environment)


def make_private_folder(folder: Path) -> None:
    """Create the folder and its parents, the folder itself readable by its owner only. Raises PepperError."""
    if os.path.isdir(folder):  # unlike Path.is_dir it raises nothing
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        if file := next((path for path in (folder, *folder.parents) if os.path.isfile(path)), None):
            problem = f"{file} is a file); name another folder"
        else:
            problem = f"{error.strerror}); check its parent"
        raise PepperError(f"the folder {folder} cannot be created ({problem}") from None


def _read(reference: SecretReference, environment: Mapping[str, str]) -> bytes:
    try:
        pepper = reference.read(environment).reveal()
    except ValueError as error:
        raise PepperError(f"the pepper: {error}") from None
    if len(pepper) < MIN_PEPPER_LENGTH:
        raise PepperError(
            f"the pepper in {reference} is shorter than {MIN_PEPPER_LENGTH} characters;"
            " use a random one, for example from `openssl rand -hex 32`"
        )
    return pepper.encode()


def _generate(path: Path) -> None:
    """Create the file whole or not at all; one that another process created first is left as it is."""
    make_private_folder(path.parent)
    try:
        create_private_file(path, secrets.token_hex(32) + "\n")
    except OSError as error:
        raise PepperError(
            f"the pepper file {path} cannot be created ({error.strerror}); check the folder"
        ) from None
