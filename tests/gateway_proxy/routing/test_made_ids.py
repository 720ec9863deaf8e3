"""Ids in memory: bounded, and never moved to a second owner."""

from gateway_proxy.core.kept import MadeId
from gateway_proxy.routing.made_ids import MadeIds


def made(id: str, owner: str = "key_a") -> MadeId:
    return MadeId(id, owner, "openai", "at", "m", "up-m", 0)


def test_an_id_stays_with_whoever_had_it_first() -> None:
    ids = MadeIds()
    assert ids.note([made("r1")], True)
    ids.note([made("r1", "key_b")], True)
    found = ids.find("r1")
    assert found is not None and found.owner_id == "key_a"
    assert ids.unwritten(10) == [made("r1")]
    assert ids.find("r2") is None


def test_memory_is_bounded_but_keeps_what_is_not_written() -> None:
    ids = MadeIds(max_remembered=2, max_unwritten=3)
    ids.note([made(f"r{number}") for number in range(5)], True)
    assert ids.dropped == 2
    assert [one.id for one in ids.unwritten(2)] == ["r0", "r1"]
    assert ids.find("r0") is not None  # out of memory, not written yet
    ids.wrote(ids.unwritten(10))
    assert ids.find("r0") is None and ids.find("r4") is not None
    assert ids.unwritten(10) == []


def test_what_does_not_last_is_not_written() -> None:
    ids = MadeIds()
    assert not ids.note([made("r1")], False)
    assert ids.find("r1") is not None and ids.unwritten(10) == []


def test_the_store_has_the_last_word() -> None:
    ids = MadeIds()
    ids.note([made("r1", "key_b")], True)
    ids.learn(made("r1"))
    found = ids.find("r1")
    assert found is not None and found.owner_id == "key_a"
