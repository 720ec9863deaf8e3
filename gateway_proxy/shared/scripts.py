"""The Lua scripts beside this file, with the guard that stands before each, and the digests that EVALSHA calls them by."""

import hashlib
from importlib.resources import files
from typing import NamedTuple


class Script(NamedTuple):
    name: str
    text: bytes
    digest: str

    @classmethod
    def of(cls, name: str, text: bytes) -> "Script":
        return cls(name, text, hashlib.sha1(text, usedforsecurity=False).hexdigest())


def _read(name: str, *, guarded: bool = True) -> Script:
    folder = files("gateway_proxy.shared") / "lua"
    text = (folder / f"{name}.lua").read_bytes()
    if guarded:
        text = (folder / "guard.lua").read_bytes() + text
    return Script.of(name, text)


ACQUIRE = _read("acquire")
FINISH = _read("finish")
LOAD = _read("load")
INSTALL = _read("install")
ADOPT = _read("adopt")
DROP = _read("drop")
BEAT = _read("beat")
BEGIN = _read("begin", guarded=False)
ENTER = _read("enter", guarded=False)
RESUME = _read("resume", guarded=False)
ALL = (ACQUIRE, FINISH, LOAD, INSTALL, ADOPT, DROP, BEAT, BEGIN, ENTER, RESUME)
