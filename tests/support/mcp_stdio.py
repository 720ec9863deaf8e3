"""A small MCP server on standard input and output, as a script: `python mcp_stdio.py HABIT…`. No package is needed, so that
it starts at once.

Habits: `modern`, `legacy` (else both eras); `crash` (ends at a tool call), `fork` (leaves a process of its own behind, in a
session of its own), `stubborn` (ignores the end of its input and SIGTERM), `noise` (writes what is no message), `silent`
(answers nothing), `asks` (asks the client before it answers), `all` (lists all of its tools, not `echo` alone).
"""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

HABITS = set(sys.argv[1:])
MODERN = "2026-07-28"
TOOLS = ("echo", "progress", "long", "hang", "crash", "change", "log")


def send(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def answer(request: dict[str, Any], **members: Any) -> None:
    send({"jsonrpc": "2.0", "id": request["id"], **members})


def call(request: dict[str, Any]) -> None:
    params = request["params"]
    match params["name"]:
        case "echo":
            shown = {
                "arguments": params.get("arguments"),
                "meta": params.get("_meta"),
                "env": dict(os.environ),
            }
            answer(request, result={"content": [{"type": "text", "text": json.dumps(shown)}]})
        case "progress":
            token = params["_meta"]["progressToken"]
            note = {"progressToken": token, "progress": 1}
            send({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "for all"}})
            send({"jsonrpc": "2.0", "method": "notifications/progress", "params": note})
            answer(request, result={"content": []})
        case "long":
            answer(request, result={"content": [{"type": "text", "text": "x" * 20_000}]})
        case "hang":
            pass
        case "crash":
            os._exit(3)
        case "change":
            send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
            answer(request, result={"content": []})
        case "log":
            sys.stderr.write(f"the token is {os.environ['TOKEN']}\n")
            sys.stderr.flush()
            answer(request, result={"content": []})


def handle(message: dict[str, Any]) -> None:
    method, is_modern = (
        message.get("method"),
        "protocolVersion" in str(message.get("params", {}).get("_meta")),
    )
    if "id" not in message or method is None:
        print(json.dumps(message), file=sys.stderr, flush=True)
    elif method == "server/discover" and "legacy" not in HABITS:
        answer(message, result={"supportedVersions": [MODERN], "capabilities": {"tools": {}}})
    elif method == "initialize" and "modern" not in HABITS:
        answer(
            message,
            result={"protocolVersion": "2025-11-25", "capabilities": {"tools": {"listChanged": True}}},
        )
    elif is_modern and "legacy" in HABITS:
        answer(message, error={"code": -32602, "message": "not initialized"})
    elif method == "initialize":
        answer(message, error={"code": -32022, "message": "m", "data": {"supported": [MODERN]}})
    elif method == "tools/list":
        names = TOOLS if "all" in HABITS else TOOLS[:1]
        answer(
            message, result={"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in names]}
        )
    elif method == "tools/call":
        call(message)
    else:
        answer(message, error={"code": -32601, "message": "m"})


def main() -> None:
    if "fork" in HABITS:
        subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"],
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    if "stubborn" in HABITS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "noise" in HABITS:
        print("hello, I am a server", flush=True)
    if "asks" in HABITS:
        send({"jsonrpc": "2.0", "id": "p", "method": "ping"})
        send({"jsonrpc": "2.0", "id": "s", "method": "sampling/createMessage", "params": {}})
    for line in sys.stdin:
        if "silent" not in HABITS:
            handle(json.loads(line))
    while "stubborn" in HABITS:
        time.sleep(1)


if __name__ == "__main__":
    main()
