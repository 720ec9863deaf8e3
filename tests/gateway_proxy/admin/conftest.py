"""A fresh store with its admin services, and people in it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.passwords import Passwords
from gateway_proxy.admin.services import Admin, build_admin
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store, open_store
from tests.support.admin import Api, FakeView, open_admin, serve_api

PASSWORD = "correct horse battery staple"
PEPPER = b"pepper for the tests of the admin side"
CLI = Actor(name="cli", role=Role.OWNER, organization=None, via="cli")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite:{tmp_path}/gateway.db", migrate=True, clock=clock)
    yield store
    await store.close()


@pytest.fixture
def admin(store: Store, clock: FakeClock) -> Admin:
    return build_admin(store, PEPPER, clock, passwords=Passwords(memory_kib=64))  # as quick as tests must be


@pytest.fixture
async def owner(admin: Admin) -> Actor:
    """Ada, who set the store up."""
    link = await admin.links.ensure_setup_link("default")
    assert link is not None
    done = await admin.links.set_up(
        secret_of(link),
        name="Ada",
        email="ada@example.com",
        password=PASSWORD,
        ip="192.0.2.1",
        user_agent="test",
    )
    return done.actor


class Scene(NamedTuple):
    """Services with a member of each role in two organizations, and a gateway that answers what a test tells it to."""

    admin: Admin
    store: Store
    clock: FakeClock
    view: FakeView


@pytest.fixture
async def scene(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Scene]:
    view = FakeView()
    async with open_admin(tmp_path, clock, view) as (admin, store):
        yield Scene(admin, store, clock, view)


@pytest.fixture
async def api(scene: Scene) -> AsyncIterator[Api]:
    """The admin API of the scene."""
    async with serve_api(scene.admin) as api:
        yield api


def secret_of(link: str) -> str:
    """The secret that ends a link."""
    return link.rpartition("/")[2]


async def join(admin: Admin, by: Actor, email: str, role: str, **more: Any) -> Actor:
    """Somebody invited who has come."""
    invited = await admin.members.add(by, {"email": email, "role": role, **more})
    done = await admin.links.accept(
        "invite", secret_of(invited.link), password=PASSWORD, ip="192.0.2.2", user_agent="test"
    )
    return done.actor
