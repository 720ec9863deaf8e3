"""One provider and one gateway for a whole file of tests: a start costs more than most of the tests."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    """One provider for the file."""
    with FakeProvider(api_key="fake-key") as running:
        yield running


@pytest.fixture(scope="module")
def run_gateway() -> Iterator[Callable[..., RunningGateway]]:
    """Starts gateways that live until the file is done."""
    started: list[RunningGateway] = []

    def start(tables: str, **options: Any) -> RunningGateway:
        started.append(RunningGateway(tables, **options))
        return started[-1]

    yield start
    for gateway in started:
        gateway.close()
