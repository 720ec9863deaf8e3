"""Ids that providers made, remembered for those who look them up: the latest in memory, the rest in a store.

Promises bounded memory, and that an id once bound stays with whoever had it first. Reading and writing the store is
done by whoever owns one.
"""

from collections import OrderedDict
from collections.abc import Iterable

from gateway_proxy.core.kept import MadeId

MAX_REMEMBERED = 50_000
MAX_UNWRITTEN = 50_000


class MadeIds:
    """For one event loop."""

    def __init__(self, max_remembered: int = MAX_REMEMBERED, max_unwritten: int = MAX_UNWRITTEN) -> None:
        self._max_remembered = max_remembered
        self._max_unwritten = max_unwritten
        self._remembered: OrderedDict[str, MadeId] = OrderedDict()
        self._unwritten: dict[str, MadeId] = {}
        self.dropped = 0  # never written: the store was away for too long

    def find(self, id: str) -> MadeId | None:
        """Whose it is, as far as memory reaches."""
        made = self._remembered.get(id)
        if made is not None:
            self._remembered.move_to_end(id)
            return made
        return self._unwritten.get(id)

    def note(self, made: Iterable[MadeId], lasts: bool) -> bool:
        """Bind new ids; those that `last` are to be written. Returns whether there is anything to write."""
        for one in made:
            if self.find(one.id) is not None:
                continue
            self.learn(one)
            if not lasts:
                continue
            if len(self._unwritten) >= self._max_unwritten:
                self.dropped += 1
                continue
            self._unwritten[one.id] = one
        return bool(self._unwritten)

    def learn(self, made: MadeId) -> None:
        """Remember what the store knows. It was there first, so it stands."""
        self._remembered[made.id] = made
        self._remembered.move_to_end(made.id)
        if len(self._remembered) > self._max_remembered:
            self._remembered.popitem(last=False)

    def unwritten(self, most: int) -> list[MadeId]:
        """The oldest of those that the store does not have yet."""
        return [made for made, _ in zip(self._unwritten.values(), range(most), strict=False)]

    def wrote(self, made: Iterable[MadeId]) -> None:
        """The store has them."""
        for one in made:
            self._unwritten.pop(one.id, None)
