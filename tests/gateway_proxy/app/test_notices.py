"""The notifier of a gateway sends by the way that the endpoint wants, and loads nothing before it must."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway_proxy.app.notices import make_notifier
from gateway_proxy.app.part import Part
from gateway_proxy.config.secrets import Secret
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.notify.endpoints import Endpoint
from gateway_proxy.notify.service import ServiceSender
from gateway_proxy.notify.webhook import WebhookSender
from gateway_proxy.routing.breaker import FAULTS_TO_OPEN, Breakers
from gateway_proxy.storage import open_store


@pytest.mark.parametrize("organization", ["default", "*"])
async def test_each_kind_has_its_sender_and_broken_circuits_are_seen(
    tmp_path: Path, organization: str
) -> None:
    clock = FakeClock()
    store = await open_store(f"sqlite:{tmp_path}/gateway.db", migrate=True, clock=clock)
    breakers = Breakers(clock)
    notifier = make_notifier(Part(), store, clock, breakers, "gtw_1", organization)
    hook = Endpoint("hook-1", "", Secret("https://a"), ("*",), Secret("whsec_"))
    assert isinstance(notifier._make_sender(hook), WebhookSender)
    assert isinstance(notifier._make_sender(Endpoint("s", "", Secret("json://a"), ("*",))), ServiceSender)
    for _ in range(FAULTS_TO_OPEN):
        breakers.fail(("openai", "gpt"))
    await notifier.turn()
    clock.advance(15)
    await notifier.turn()
    rows = await store.db.fetch("SELECT type, organization FROM outbox")
    assert rows == [("provider.down", organization)]
    await store.close()


@pytest.mark.slow
def test_apprise_is_not_loaded_by_a_gateway() -> None:
    program = "import sys, gateway_proxy.app.gateway; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
