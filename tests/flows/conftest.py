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


@pytest.fixture(autouse=True, scope="session")
def no_http_proxy() -> Iterator[None]:
    """SDKs and curl would send loopback traffic to a proxy of the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            patch.delenv(name, raising=False)
            patch.delenv(name.lower(), raising=False)
        yield
