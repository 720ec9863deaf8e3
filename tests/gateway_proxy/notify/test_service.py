"""Notification services through a real process."""

import asyncio
import sys

import pytest

from gateway_proxy.config.secrets import Secret
from gateway_proxy.notify import service
from gateway_proxy.notify.endpoints import Endpoint
from gateway_proxy.notify.service import ServiceSender


def sender(url: str) -> ServiceSender:
    return ServiceSender(Endpoint("service-1", "json://…", Secret(url), ("*",)))


@pytest.mark.slow
async def test_an_event_arrives_in_words_and_no_list_of_processes_shows_the_url(
    receiver, event, monkeypatch
) -> None:
    started = []
    real = asyncio.create_subprocess_exec

    async def record(*arguments: str, **options: object) -> object:
        started.append(arguments)
        return await real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", record)
    outcomes = await sender(f"json://user:s3cret@127.0.0.1:{receiver.port}/x").send([event])
    assert [outcome.ok for outcome in outcomes] == [True]
    assert receiver.requests[0].json["title"] == "Ä: 80 % of the budget is spent"
    assert not any("s3cret" in argument for argument in started[0])


@pytest.mark.parametrize(
    "program", ["import time; time.sleep(30)", "print('no json')", "print('[]')", "print('{}')"]
)
async def test_a_process_that_fails_or_hangs_is_ended(event, monkeypatch, program) -> None:
    monkeypatch.setattr(service, "TIMEOUT_SECONDS", 0.3)
    real = asyncio.create_subprocess_exec
    processes = []

    async def replace(*_: str, **options: object) -> asyncio.subprocess.Process:
        processes.append(await real(sys.executable, "-S", "-c", program, **options))  # type: ignore[arg-type]
        return processes[0]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", replace)
    [outcome] = await sender("json://127.0.0.1").send([event])
    assert "did not finish" in outcome.error and processes[0].returncode is not None
