"""The Lua scripts as they are sent."""

import hashlib

from gateway_proxy.shared.scripts import ALL, BEGIN, ENTER, RESUME


def test_each_is_called_by_its_digest() -> None:
    for script in ALL:
        assert script.digest == hashlib.sha1(script.text, usedforsecurity=False).hexdigest()
    assert len({script.digest for script in ALL}) == len(ALL)


def test_all_but_those_that_begin_are_guarded() -> None:
    for script in ALL:
        assert (b"guard[1] ~= ARGV[1]" in script.text) == (script not in (BEGIN, ENTER, RESUME))
