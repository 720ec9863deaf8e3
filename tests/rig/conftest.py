"""One provider and one server of PostgreSQL for all of the rig's tests of a file."""

from collections.abc import Iterator

import pytest

from tests.support.fake_provider import FakeProvider


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    """One provider for the file."""
    with FakeProvider(api_key="fake-key") as running:
        yield running
