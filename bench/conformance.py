"""The MCP conformance suite against a reference server directly, and again through the gateway: the same results?

`python -m bench.conformance COMMAND…`, where COMMAND runs the suite, such as `npx @modelcontextprotocol/conformance` (it needs
Node 22). Prints each scenario's result on both ways; the exit code is 1 where the gateway's differ in what is not listed
in EXPECTED, and where something listed there no longer differs.
"""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import ProxyHandler, Request, build_opener

from tests.support.gateway import RunningGateway

EXPECTED: dict[str, str] = {
    "server-sse-multiple-streams": "the gateway answers lists as JSON, which the revision allows: the suite then notes "
    "that there are no streams to try, instead of a second success",
    "server-sse-polling": "of a stream that can be taken up again, which is optional and which the gateway does not offer; "
    "the reference server fails it, and through the gateway there is nothing to check",
}
"""Scenario → why its result through the gateway may differ."""
_LINE = re.compile(r"^\s*[✓✗✔✘]\s+([\w-]+): (\d+) passed, (\d+) failed", re.MULTILINE)
_ONE = re.compile(r"^Passed: (\d+)/\d+, (\d+) failed", re.MULTILINE)
Results = dict[str, tuple[int, int]]


def main(command: list[str]) -> int:
    """The command line; returns the exit code."""
    with _reference() as url:
        direct = run_suite(command, url)
        table = f'[[mcp.servers]]\nname = "reference"\nurl = "{url}"\nallow_private = true\n'
        with RunningGateway(table) as gateway:
            key = gateway.create_key(mcp={"enabled": True})
            with _signing_in(f"{gateway.origin}/mcp/reference", key.secret) as through:
                relayed = run_suite(command, through)
                for scenario in [name for name in direct if direct[name] != relayed.get(name)]:
                    # What depends on time is tried once more on both ways before it counts.
                    direct |= run_suite(command, url, scenario)
                    relayed |= run_suite(command, through, scenario)
    wrong = 0
    for scenario in sorted(direct.keys() | relayed.keys()):
        pair = direct.get(scenario), relayed.get(scenario)
        differs = pair[0] != pair[1]
        odd = differs != (scenario in EXPECTED)
        wrong += odd
        print(
            f"{'DIFFERS' if differs else 'same   '} {scenario}: {pair[0]} directly, {pair[1]} through {'!' if odd else ''}"
        )
    print(f"{len(direct)} scenarios, {sum(failed for _, failed in direct.values())} checks failed directly")
    return 1 if wrong or not direct else 0


def run_suite(command: list[str], url: str, scenario: str = "") -> Results:
    """Scenario → (checks passed, failed); of all, or of one."""
    which = ["--scenario", scenario] if scenario else ["--suite", "all"]
    done = subprocess.run(
        [*command, "server", "--url", url, *which], capture_output=True, text=True, timeout=600, check=False
    )
    if scenario:
        one = _ONE.search(done.stdout)
        return {scenario: (int(one[1]), int(one[2]))} if one else {}
    found = {name: (int(passed), int(failed)) for name, passed, failed in _LINE.findall(done.stdout)}
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
