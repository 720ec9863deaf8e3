"""How many refusals are logged: a flood of them must not fill the store."""

from gateway_proxy.core.clock import Clock

MAX_REFUSALS_PER_SECOND = 200


class RefusalBound:
    """Second by second, of the monotonic clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = self._refusals = 0

    def admits(self) -> bool:
        """Whether one more refusal is logged now; asking counts."""
        second = self._clock.monotonic_ns() // 1_000_000_000
        if second != self._second:
            self._second, self._refusals = second, 0
        self._refusals += 1
        return self._refusals <= MAX_REFUSALS_PER_SECOND
