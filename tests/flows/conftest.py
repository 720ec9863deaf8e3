"""What the flows share: one fake provider a module."""

from collections.abc import Iterator

import pytest

from tests.support.fake_provider import FakeProvider


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    """One provider for all tests of the module."""
    with FakeProvider() as running:
        yield running


@pytest.fixture(autouse=True, scope="session")
def no_http_proxy() -> Iterator[None]:
    """SDKs and curl would send loopback traffic to a proxy of the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            patch.delenv(name, raising=False)
            patch.delenv(name.lower(), raising=False)
        yield
