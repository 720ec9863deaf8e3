"""The command line, run in this process against a gateway's settings: what it prints and how it ends."""

import contextlib
import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from gateway_proxy.cli.main import run
from tests.support.gateway import CreatedKey, RunningGateway


class Printed(NamedTuple):
    """Exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def command(*arguments: str) -> Printed:
    """`gateway-proxy` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), ThreadPoolExecutor(1) as thread:
        code = thread.submit(run, arguments).result()  # the test may have a running loop
    return Printed(code, out.getvalue(), err.getvalue())


def keys(gateway: RunningGateway, *arguments: str) -> Any:
    """`gateway-proxy keys …` on the gateway's store, which must succeed: its JSON."""
    printed = command("keys", *arguments, "-c", str(gateway.config_path), "--json")
    assert printed.code == 0, printed.err
    return json.loads(printed.out)


def create(gateway: RunningGateway, *flags: str) -> CreatedKey:
    """A key with these flags."""
    made = keys(gateway, "create", "--name", "test", *flags)
    return CreatedKey(made["key"]["id"], made["secret"])
