"""How many attempts run at a provider, and at a target of its, where the settings bound that.

Whoever takes a slot gives it back, once. A full target is not waited for.
"""

from collections import Counter
from collections.abc import Mapping

from gateway_proxy.core.catalog import Target

Running = Counter[str | tuple[str, str]]
"""Attempts by provider, and by provider and model; it outlives the settings."""


class TargetSlots:
    """The bounds of one revision over the counts of all."""

    def __init__(self, running: Running, provider_limits: Mapping[str, int]) -> None:
        self._running = running
        self._provider_limits = provider_limits

    def take(self, target: Target) -> bool:
        """Take a slot; False if provider or target are full."""
        circuit = (target.provider, target.model)
        limit = self._provider_limits.get(target.provider)
        if limit is not None and self._running[target.provider] >= limit:
            return False
        if target.max_parallel is not None and self._running[circuit] >= target.max_parallel:
            return False
        self._running[target.provider] += 1
        self._running[circuit] += 1
        return True

    def give_back(self, target: Target) -> None:
        """The attempt has ended, its answer included."""
        for name in (target.provider, (target.provider, target.model)):
            self._running[name] -= 1
            if self._running[name] <= 0:
                del self._running[name]
