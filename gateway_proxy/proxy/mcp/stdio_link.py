"""One MCP server as a process on this machine.

Promises: one process at a time, in one era; one that ended is started again when it is needed, after a pause that grows
while it does not live long. The command comes from the settings alone.
Source: MCP 2026-07-28, basic/transports/stdio.
"""

import asyncio
import logging

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.core.tasks import spawn
from gateway_proxy.proxy.mcp.answer import broken, parse_messages
from gateway_proxy.proxy.mcp.channel import Channel
from gateway_proxy.proxy.mcp.channel_link import ChannelLink
from gateway_proxy.proxy.mcp.child import Child, Command, start_child
from gateway_proxy.proxy.mcp.lines import TooLong

log = logging.getLogger("gateway_proxy.mcp")

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0
STEADY_SECONDS = 30.0
WORTH_WAITING_SECONDS = 1.0
NOT_STARTED = 127  # as a shell tells it


class StdioLink(ChannelLink):
    """Nothing is started before it is needed."""

    def __init__(self, command: Command, *, start_seconds: float = 30, silence_seconds: float = 300) -> None:
        super().__init__(start_seconds=start_seconds, silence_seconds=silence_seconds)
        self._command = command
        self._child: Child | None = None
        self._pause_seconds = 0.0
        self._rests_until = 0.0
        self._logged_noise = False

    async def _open(self) -> Channel:
        await self._wait_for_turn()
        try:
            child = await start_child(self._command)
        except OSError as error:
            raise _not_started(f"{type(error).__name__}: {error.strerror}") from None
        started_at = asyncio.get_running_loop().time()

        async def write(line: bytes) -> None:
            child.write(line)

        channel = Channel(write)

        def end(status: int | None) -> None:
            if self._child is child:  # else it was ended on purpose
                self._note_end(asyncio.get_running_loop().time() - started_at)
            if status == NOT_STARTED:
                channel.fail(_not_started("the command cannot be run; see the log"))
            else:
                channel.fail(UpstreamFailed("The MCP server has ended.", detail=f"status {status}"))

        child.listen(lambda line: self._take(channel, line), end)
        self._child = child
        return channel

    async def _shut(self) -> None:
        child, self._child = self._child, None
        if self._channel is not None:
            self._channel.fail(UpstreamFailed("The MCP server was ended.", detail="closed by the gateway"))
        if child is not None:
            await asyncio.shield(spawn(child.close(), "end an mcp server"))

    def _take(self, channel: Channel, line: bytes | TooLong) -> None:
        if isinstance(line, TooLong):
            error = broken(f"a message is longer than {self._command.max_bytes} bytes")
            if line.id is not None:
                channel.fail_one(line.id, error)
            return
        try:
            messages = parse_messages(line)
        except UpstreamFailed:
            if not self._logged_noise:
                self._logged_noise = True
                log.warning(
                    "the MCP server %s writes what is no message; that is passed over", self._command.name
                )
            return
        for message in messages:
            channel.take(message)

    async def _wait_for_turn(self) -> None:
        left = self._rests_until - asyncio.get_running_loop().time()
        if left > WORTH_WAITING_SECONDS:
            raise UpstreamFailed(
                "The MCP server has ended and is started again soon.",
                code="upstream_unavailable",
                status=503,
                detail="restart pause",
                retry_after_ms=round(left * 1000),
            )
        if left > 0:
            await asyncio.sleep(left)

    def _note_end(self, lived_seconds: float) -> None:
        """One that lived long is started again at once."""
        if lived_seconds >= STEADY_SECONDS:
            self._pause_seconds = 0.0
        else:
            self._pause_seconds = min(self._pause_seconds * 2 or FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self._rests_until = asyncio.get_running_loop().time() + self._pause_seconds


def _not_started(detail: str) -> UpstreamFailed:
    return UpstreamFailed(
        "The MCP server cannot be started.", code="upstream_unavailable", status=503, detail=detail
    )
