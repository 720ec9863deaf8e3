"""A log in a folder of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.audit.chain import Head, derive_key
from gateway_proxy.audit.log import AuditLog
from gateway_proxy.core.clock import FakeClock

GATEWAY = "gtw_1"
KEY = derive_key(b"p" * 32, GATEWAY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit" / GATEWAY


@pytest.fixture
def open_log(folder: Path) -> Iterator[Callable[..., AuditLog]]:
    opened = []

    def make(reported: Head | None = None, **options: Any) -> AuditLog:
        log = AuditLog(folder, KEY, GATEWAY, FakeClock(), **options)
        opened.append(log)
        log.open(reported)
        return log

    yield make
    for log in opened:
        log.close()


@pytest.fixture
def acts() -> Callable[..., list[dict[str, Any]]]:
    """`acts(3, 5)`: acts with the change numbers 3 to 5."""
    return lambda first, last: [
        {"change": n, "at": "2026-01-01T00:00:00Z", "action": "key.updated", "subject": f"key_{n}"}
        for n in range(first, last + 1)
    ]
