"""How long targets take to begin their answers: a moving mean each, forgotten when it is old.

Streams and whole answers are kept apart: the one begins with the first token, the other with the last.
"""

from collections import OrderedDict

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.clock import Clock

NEWEST_SHARE = 0.2
STALE_NS = 600_000_000_000
MAX_TRACKED = 4096

Measured = tuple[str, str, bool]
"""A provider, its model, and whether it streamed."""


class Latencies:
    """Memory for the targets of models that are chosen by latency, and no others."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._means: OrderedDict[Measured, tuple[float, int]] = OrderedDict()

    def note(self, target: Target, streaming: bool, seconds: float) -> None:
        """An answer has begun after so many seconds."""
        measured = (target.provider, target.model, streaming)
        mean = self.mean_seconds(target, streaming)
        mean = seconds if mean is None else mean + (seconds - mean) * NEWEST_SHARE
        self._means[measured] = (mean, self._clock.monotonic_ns())
        self._means.move_to_end(measured)
        if len(self._means) > MAX_TRACKED:
            self._means.popitem(last=False)

    def mean_seconds(self, target: Target, streaming: bool) -> float | None:
        """What to expect; None if nobody has asked it for ten minutes."""
        known = self._means.get((target.provider, target.model, streaming))
        if known is None or self._clock.monotonic_ns() - known[1] > STALE_NS:
            return None
        return known[0]
