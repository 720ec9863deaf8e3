"""Sends events to notification services (Slack, e-mail, Teams, …) through apprise, in a process of its own.

A process for each batch, because apprise takes seconds and memory to load, blocks, and has no deadline: here it can be
ended, and the gateway never feels it. The URL goes in through a pipe, so that no list of processes shows it.
"""

import asyncio
import contextlib
import sys

import orjson

from gateway_proxy.core.ledger import EventRow
from gateway_proxy.notify.endpoints import Endpoint
from gateway_proxy.notify.text import write_text
from gateway_proxy.notify.webhook import Outcome

TIMEOUT_SECONDS = 60.0


class ServiceSender:
    """Sends to one endpoint."""

    lease_seconds = 2 * TIMEOUT_SECONDS

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def send(self, events: list[EventRow]) -> list[Outcome]:
        """One attempt for all of the events. Raises nothing but cancellation."""
        messages = [write_text(event) for event in events]
        errors = await self._run(orjson.dumps({"url": self._endpoint.url.reveal(), "messages": messages}))
        if len(errors) != len(events):
            errors = [f"the sender did not finish within {TIMEOUT_SECONDS:g} s, or failed"] * len(events)
        return [Outcome(None, error) for error in errors]

    async def close(self) -> None:
        """Nothing is kept."""

    async def _run(self, request: bytes) -> list[str]:
        """The error of each message; none at all if the process did not tell."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway_proxy.notify.service_process",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            answer, _ = await asyncio.wait_for(process.communicate(request), TIMEOUT_SECONDS)
            errors = orjson.loads(answer)
        except (TimeoutError, orjson.JSONDecodeError):
            return []
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return errors if isinstance(errors, list) else []
