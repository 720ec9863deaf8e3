"""Circuit breakers: a target that failed several times in a row rests before it is tried again.

Promises memory only for targets in trouble. What counts as a fault is the caller's to say.
"""

from collections import OrderedDict
from dataclasses import dataclass

from gateway_proxy.core.clock import Clock

FAULTS_TO_OPEN = 5
FIRST_REST_NS = 5_000_000_000
LONGEST_REST_NS = 60_000_000_000
# A probe whose client left is never reported on: after this the next one may go.
PROBE_NS = 5_000_000_000
MAX_TRACKED = 4096

Circuit = tuple[str, str]
"""A provider and its model."""


@dataclass(slots=True)
class _Trouble:
    faults: int = 0
    rest_ns: int = 0  # 0: never opened
    open_until_ns: int = 0
    probe_until_ns: int = 0


class Breakers:
    """The breakers of all targets.

    Closed until 5 faults in a row; then open for 5 s; then half-open: one attempt may probe. Its success closes the
    breaker, its fault opens it for twice as long as before, at most 60 s.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._troubles: OrderedDict[Circuit, _Trouble] = OrderedDict()
        self._resting: set[str] = set()

    def rest(self, provider: str) -> None:
        """Probes found the provider dead: all of its circuits are open until `wake`."""
        self._resting.add(provider)

    def wake(self, provider: str) -> None:
        """A probe was answered. What broke with the provider is whole with it."""
        if provider in self._resting:
            self._resting.discard(provider)
            for circuit in [circuit for circuit in self._troubles if circuit[0] == provider]:
                del self._troubles[circuit]

    def is_open(self, circuit: Circuit) -> bool:
        """Whether an attempt should be avoided now. Asking takes no probe."""
        if circuit[0] in self._resting:
            return True
        trouble = self._troubles.get(circuit)
        if trouble is None or not trouble.rest_ns:
            return False
        now = self._clock.monotonic_ns()
        return now < trouble.open_until_ns or now < trouble.probe_until_ns

    def health(self, provider: str) -> str:
        """`down` while any of the provider's breakers is open, else `half_open` while one is on trial, else `up`."""
        if provider in self._resting:
            return "down"
        now = self._clock.monotonic_ns()
        ends = [t.open_until_ns for (name, _), t in self._troubles.items() if name == provider and t.rest_ns]
        if not ends:
            return "up"
        return "down" if now < max(ends) else "half_open"

    def begin(self, circuit: Circuit) -> bool:
        """Ask right before an attempt; True if it may go. Half-open, one goes until it is reported on, or 5 s."""
        if self.is_open(circuit):
            return False
        trouble = self._troubles.get(circuit)
        if trouble is not None and trouble.rest_ns:
            trouble.probe_until_ns = self._clock.monotonic_ns() + PROBE_NS
        return True

    def list_tripped(self) -> list[Circuit]:
        """The circuits that opened and have not been answered since; a provider that rests as a whole has no model."""
        tripped = [circuit for circuit, trouble in self._troubles.items() if trouble.rest_ns]
        return tripped + [(provider, "") for provider in self._resting]

    def succeed(self, circuit: Circuit) -> None:
        """The attempt was answered: closes the breaker."""
        self._troubles.pop(circuit, None)

    def fail(self, circuit: Circuit) -> None:
        """The attempt ended in a fault. Faults of attempts that began before the breaker opened change nothing."""
        now = self._clock.monotonic_ns()
        trouble = self._troubles.setdefault(circuit, _Trouble())
        self._troubles.move_to_end(circuit)
        if len(self._troubles) > MAX_TRACKED:
            self._troubles.popitem(last=False)
        if now < trouble.open_until_ns:
            return
        trouble.faults += 1
        if trouble.faults < FAULTS_TO_OPEN:
            return
        trouble.rest_ns = min(trouble.rest_ns * 2, LONGEST_REST_NS) or FIRST_REST_NS
        trouble.open_until_ns = now + trouble.rest_ns
        trouble.probe_until_ns = 0
