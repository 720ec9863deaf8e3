"""Admin services over a fresh store, with a gateway that answers what a test tells it to."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway_proxy.admin.services import Admin
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store
from tests.support.admin import Api, FakeView, open_admin, serve_api


class Scene(NamedTuple):
    admin: Admin
    store: Store
    clock: FakeClock
    view: FakeView


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def scene(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Scene]:
    view = FakeView()
    async with open_admin(tmp_path, clock, view) as (admin, store):
        yield Scene(admin, store, clock, view)


@pytest.fixture
async def api(scene: Scene) -> AsyncIterator[Api]:
    async with serve_api(scene.admin) as api:
        yield api
