from pathlib import Path

import pytest

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.key_filter import KeyFilter
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.core.key import Key
from gateway_proxy.storage import open_store

ADA = Actor(name="ada", role=Role.OWNER, organization="default", email="ada@example.com")
BOB = Actor(name="bob", role=Role.MEMBER, organization="default", email="bob@example.com")


@pytest.fixture
async def keys(tmp_path: Path):
    store = await open_store(f"sqlite:{tmp_path}/gateway.db", migrate=True)
    async with store.keys.change() as change:
        for n, (name, owner) in enumerate(
            (("Prod", "ada"), ("Prod 2", "ada"), ("Twin", "ada"), ("twin", "bob"))
        ):
            await change.save_key(
                Key(
                    id=f"key_{n}",
                    name=name,
                    organization="default",
                    owner=f"{owner}@example.com",
                    metadata={f"f{n}": 1},
                )
            )
    yield KeyFilter(store)
    await store.close()


async def test_a_name_stands_for_the_one_key_that_has_it(keys: KeyFilter) -> None:
    assert await keys.find_id(ADA, "prod") == "key_0"
    assert await keys.find_id(ADA, "key_gone") == "key_gone"
    assert await keys.find_id(BOB, "Twin") == "key_3"


@pytest.mark.parametrize(("name", "told"), [("Twin", "2 keys"), ("Pro", "no key")])
async def test_other_names_are_refused_at_the_field(keys: KeyFilter, name: str, told: str) -> None:
    with pytest.raises(Invalid, match=f"key: {told}"):
        await keys.find_id(ADA, name)


async def test_members_learn_nothing_of_other_keys(keys: KeyFilter) -> None:
    with pytest.raises(Invalid):
        await keys.find_id(BOB, "Prod")
    assert await keys.list_metadata_fields(BOB) == ["f3"]
    assert await keys.list_metadata_fields(ADA) == ["f0", "f1", "f2", "f3"]
