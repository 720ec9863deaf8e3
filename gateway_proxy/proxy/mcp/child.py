"""A command that serves MCP on its standard streams, with a supervisor between it and the gateway.

Promises: nothing of it outlives the gateway; it gets the environment that it was given and a few harmless variables of
the gateway's, nothing else; what it writes to its standard error goes to the log, without secrets and not without end.
What the lines mean belongs to the link.
"""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from gateway_proxy.config.secrets import Secret
from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.core.tasks import spawn
from gateway_proxy.proxy.mcp.lines import Lines, TooLong

log = logging.getLogger("gateway_proxy.mcp")

FAREWELL_SECONDS = 2.0
END_SECONDS = 6.0  # the supervisor itself asks for a second and kills for three
MAX_UNSENT_BYTES = 16 << 20
MAX_LOGGED_LINE = 2_000
LOGGED_LINES = 50  # every ten seconds
SHORTEST_SECRET = 4
_LOG_SECONDS = 10.0
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_INHERITED = frozenset(
    ("PATH", "HOME", "LANG", "LANGUAGE", "LOGNAME", "SHELL", "TERM", "TMPDIR", "TZ", "USER", "SSL_CERT_FILE", "SSL_CERT_DIR")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    """What is run, and as what."""

    name: str
    words: Sequence[str]
    environment: Mapping[str, Secret] = field(default_factory=dict)
    folder: Path | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    max_bytes: int = 8 << 20


class Child:
    """Made by `start_child`. `on_line` gets what it writes, `on_end` is called once, with its status
    where that is known."""

    def __init__(self, command: Command, process: asyncio.subprocess.Process, lifeline: int) -> None:
        self._command = command
        self._process = process
        self._lifeline: int | None = lifeline
        self._closing = False
        self.pid = process.pid

    def listen(
        self, on_line: Callable[[bytes | TooLong], None], on_end: Callable[[int | None], None]
    ) -> None:
        """Begins to read."""
        self._log_task = spawn(self._log_errors(), f"log of {self._command.name}")
        self._task = spawn(self._read(on_line, on_end), f"read {self._command.name}")

    def write(self, line: bytes) -> None:
        """Raises UpstreamFailed for a command that has ended or reads nothing any more."""
        stdin = self._process.stdin
        assert stdin is not None
        if stdin.is_closing():
            raise UpstreamFailed(
                "The MCP server has ended.", code="upstream_broken", detail="stdin is closed"
            )
        if stdin.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            raise UpstreamFailed(
                "The MCP server takes no requests.",
                code="upstream_unavailable",
                status=503,
                detail="stdin is full",
            )
        stdin.write(line + b"\n")

    async def close(self) -> None:
        """Ends all of it: by the end of its input first, then by force."""
        if not self._closing:
            self._closing = True
            stdin = self._process.stdin
            assert stdin is not None
            stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._task), FAREWELL_SECONDS)
        self._cut()
        try:
            await asyncio.wait_for(self._process.wait(), END_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()  # its child dies with it
            await self._process.wait()
        await asyncio.gather(self._task, self._log_task, return_exceptions=True)

    def _cut(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    async def _read(
        self, on_line: Callable[[bytes | TooLong], None], on_end: Callable[[int | None], None]
    ) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        lines = Lines(self._command.max_bytes)
        status = None
        try:
            while data := await stdout.read(65_536):
                for line in lines.push(data):
                    on_line(line)
            self._cut()  # closing its output is a way to end
            status = await self._process.wait()
            if not self._closing:
                log.warning("the MCP server %s has ended with status %d", self._command.name, status)
        finally:
            self._cut()
            on_end(status)

    async def _log_errors(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        secrets = [secret.reveal() for secret in self._command.environment.values()]
        secrets = [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]
        clock = asyncio.get_running_loop().time
        began_at, told = clock(), 0
        lines = Lines(65_536)
        while data := await stderr.read(65_536):
            for line in lines.push(data):
                if clock() - began_at >= _LOG_SECONDS:
                    began_at, told = clock(), 0
                told += 1
                if told <= LOGGED_LINES:
                    log.info("%s: %s", self._command.name, _clean(line, secrets))
                elif told == LOGGED_LINES + 1:
                    log.info("%s: writes more than is logged", self._command.name)


async def start_child(command: Command) -> Child:
    """Raises OSError."""
    hear, lifeline = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(_SUPERVISOR),
            str(hear),
            orjson.dumps(command.limits).decode(),
            *command.words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(hear,),
            start_new_session=True,
            cwd=command.folder,
            env=_environment(command),
        )
    except BaseException:
        os.close(lifeline)
        raise
    finally:
        os.close(hear)
    return Child(command, process, lifeline)


def _environment(command: Command) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name.startswith(("LC_", "XDG_"))
    }
    return kept | {name: secret.reveal() for name, secret in command.environment.items()}


def _clean(line: bytes | TooLong, secrets: Sequence[str]) -> str:
    """A line as it may stand in a log."""
    if isinstance(line, TooLong):
        return "(a line that is too long)"
    text = line.decode("utf-8", "replace")
    for secret in secrets:
        text = text.replace(secret, "***")
    return "".join(character if character.isprintable() else " " for character in text)[
        :MAX_LOGGED_LINE
    ].strip()
