"""A timer that fires four times a second: adds up what has ended, and sees how late it is itself."""

import asyncio

from gateway_proxy.telemetry.exposition import Histogram
from gateway_proxy.telemetry.tally import Tally

INTERVAL_SECONDS = 0.25
LAGS_MS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000)


class Pulse:
    """`lag` is how late it fired, in milliseconds: as long a request would have waited for its turn."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.lag = Histogram(LAGS_MS)

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL_SECONDS
            await asyncio.sleep(INTERVAL_SECONDS)
            self.lag.observe(round((loop.time() - due) * 1000))
            self.tally.add_up()
