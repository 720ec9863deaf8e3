"""Choosing among targets on a running gateway: prompts stay with their cache, move away from the dead and come back."""

import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.support.clients import HELLO, sdk
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.waiting import wait_until

NAMES = ("one", "two")
TARGETS = ", ".join(f'{{ provider = "{name}", model = "m", tier = 1 }}' for name in NAMES)


@pytest.fixture(scope="module")
def providers(provider: FakeProvider) -> Iterator[dict[str, FakeProvider]]:
    with FakeProvider(api_key="fake-key") as other:
        yield {"one": provider, "two": other}


@pytest.fixture(scope="module")
def gateway(providers: dict[str, FakeProvider], run_gateway: Callable[..., RunningGateway]) -> RunningGateway:
    tables = "".join(
        provider_toml(running.base_url, name=name, extra="probe = { interval = 0.2, timeout = 1 }")
        for name, running in providers.items()
    )
    for name, settings in (("kept", 'sticky = ["prompt_cache_key", "key"]'), ("quick", 'choose = "latency"')):
        tables += f'[[models]]\nname = "{name}"\ntargets = [{TARGETS}]\nretries = 0\n{settings}\n'
    return run_gateway(tables)


def test_the_quick_one_is_asked_more(gateway: RunningGateway, providers: dict[str, FakeProvider]) -> None:
    key = gateway.create_key("quick")
    providers["one"].set_mode("slow", delay_ms=0, head_delay_ms=60)
    with sdk(gateway, key.secret, max_retries=0) as client:
        asked: Counter[str] = Counter()
        for _ in range(40):
            answer = client.chat.completions.with_raw_response.create(model="quick", messages=HELLO)
            asked[answer.headers["x-gateway-provider"]] += 1
    providers["one"].set_mode()
    assert asked["two"] >= 28, asked


def is_down(gateway: RunningGateway, name: str) -> bool:
    with urllib.request.urlopen(f"{gateway.origin}/metrics") as answer:
        return f'gateway_proxy_provider_health{{provider="{name}",state="down"}} 1' in answer.read().decode()


def test_prompts_stay_move_and_come_back(gateway: RunningGateway, providers: dict[str, FakeProvider]) -> None:
    key = gateway.create_key("sticky")
    with sdk(gateway, key.secret, max_retries=0) as client:

        def served_by(cache: str) -> str:
            answer = client.chat.completions.with_raw_response.create(
                model="kept", messages=HELLO, prompt_cache_key=cache
            )
            return str(answer.headers["x-gateway-provider"])

        homes = {str(number): served_by(str(number)) for number in range(12)}
        assert set(homes.values()) == set(NAMES)
        assert {cache: served_by(cache) for cache in homes} == homes
        providers["two"].kill()
        wait_until(lambda: is_down(gateway, "two"), what="probes do not see that it is gone")
        before = len(gateway.settled_rows(key.id))
        assert {served_by(cache) for cache in homes} == {"one"}
        assert len(gateway.settled_rows(key.id)) == before + len(homes)  # nobody tried the dead one
        with FakeProvider(api_key="fake-key", port=providers["two"].port):
            wait_until(
                lambda: {cache: served_by(cache) for cache in homes} == homes,
                what="probes do not bring it back",
            )
