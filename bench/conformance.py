"""The MCP conformance suite against a reference server directly, and again through the gateway: the same results?

`python -m bench.conformance` runs the suite that requirements/npm locks, with what each revision requires; `python -m
bench.conformance COMMAND…` another one. Prints each scenario's result on both ways; the exit code is 1 where the gateway's
differ in what is not listed in EXPECTED, and where something listed there no longer differs.
"""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import ProxyHandler, Request, build_opener

from tests.support.gateway import RunningGateway
from tests.support.node import NODE, NODE_MODULES

SUITE = (str(NODE), str(NODE_MODULES / ".bin" / "conformance"))
REVISIONS = ("2025-11-25", "2026-07-28")
EXPECTED: dict[str, str] = {
    "2025-11-25 server-sse-multiple-streams": "the gateway answers lists as JSON, which the revision allows: the suite then "
    "notes that there are no streams to try, instead of a second success",
    "2025-11-25 server-sse-polling": "of a stream that can be taken up again, which is optional and which the gateway does not "
    "offer; the reference server fails it, and through the gateway there is nothing to check",
    "2026-07-28 http-header-validation": "the reference server fails to trim blanks around a header's value, which HTTP asks "
    "for; the gateway trims them",
}
"""Revision and scenario → why its result through the gateway may differ."""
_LINE = re.compile(r"^\s*[✓✗✔✘]\s+([\w-]+): (\d+) passed, (\d+) failed", re.MULTILINE)
_ONE = re.compile(r"^Passed: (\d+)/\d+, (\d+) failed", re.MULTILINE)
Result = tuple[int, int]
"""How many checks passed, and how many failed."""
Pairs = dict[str, tuple[Result | None, Result | None]]
"""Revision and scenario → its result directly, and through the gateway."""


def main(command: Sequence[str]) -> int:
    """The command line; returns the exit code."""
    pairs = compare(command or SUITE)
    odd = find_odd(pairs)
    for scenario, (direct, through) in sorted(pairs.items()):
        verdict = "same   " if direct == through else "DIFFERS"
        print(f"{verdict} {scenario}: {direct} directly, {through} through {'!' if scenario in odd else ''}")
    print(
        f"{len(pairs)} scenarios, {sum(pair[0][1] for pair in pairs.values() if pair[0])} checks failed directly"
    )
    return 1 if odd or not pairs else 0


def find_odd(pairs: Pairs) -> list[str]:
    """The scenarios that differ and should not, or the other way round."""
    return [name for name, pair in pairs.items() if (pair[0] != pair[1]) != (name in EXPECTED)]


def compare(command: Sequence[str] = SUITE) -> Pairs:
    """What is required by each revision, on both ways at once."""
    with _reference() as url:
        table = f'[[mcp.servers]]\nname = "reference"\nurl = "{url}"\nallow_private = true\n'
        with RunningGateway(table) as gateway:
            key = gateway.create_key(mcp={"enabled": True})
            with _signing_in(f"{gateway.origin}/mcp/reference", key.secret) as through:
                with ThreadPoolExecutor(len(REVISIONS) * 2) as pool:
                    runs = [
                        [pool.submit(run_suite, command, way, revision) for way in (url, through)]
                        for revision in REVISIONS
                    ]
                    direct, relayed = (
                        {name: result for pair in runs for name, result in pair[way].result().items()}
                        for way in (0, 1)
                    )
                for name in [name for name in direct if direct[name] != relayed.get(name)]:
                    # What depends on time is tried once more on both ways before it counts.
                    revision, _, scenario = name.partition(" ")
                    direct |= run_suite(command, url, revision, scenario)
                    relayed |= run_suite(command, through, revision, scenario)
    return {name: (direct.get(name), relayed.get(name)) for name in direct.keys() | relayed.keys()}


def run_suite(command: Sequence[str], url: str, revision: str, scenario: str = "") -> dict[str, Result]:
    """The result of all that the revision requires, or of one scenario."""
    which = ["--spec-version", revision, "--scenario", scenario] if scenario else ["--requirements", revision]
    done = subprocess.run(
        [*command, "server", "--url", url, *which], capture_output=True, text=True, timeout=300, check=False
    )
    if scenario:
        one = _ONE.search(done.stdout)
        return {f"{revision} {scenario}": (int(one[1]), int(one[2]))} if one else {}
    found = {
        f"{revision} {name}": (int(passed), int(failed))
        for name, passed, failed in _LINE.findall(done.stdout)
    }
    if not found:
        raise RuntimeError(f"the suite told no results: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return found


@contextmanager
def _reference() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.support.mcp_conformance"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


@contextmanager
def _signing_in(target: str, secret: str) -> Iterator[str]:
    """The suite sends no credential: what it asks is handed on with one, byte for byte otherwise."""
    opener = build_opener(ProxyHandler({}))

    class Relay(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
            request = Request(target, body, dict(self.headers.items()), method=self.command)
            request.add_header("Authorization", f"Bearer {secret}")
            try:
                answer = opener.open(request, timeout=60)
            except OSError as error:
                answer = error  # type: ignore[assignment]  # an HTTPError reads like an answer
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in (
                    "transfer-encoding",
                    "content-length",
                    "connection",
                    "date",
                    "server",
                ):
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                while data := answer.read1(65536):
                    self.wfile.write(data)
                    self.wfile.flush()
            except (OSError, ValueError, HTTPException):
                pass  # the suite has heard enough, or the gateway has ended
            self.close_connection = True
            answer.close()

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mcp"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
