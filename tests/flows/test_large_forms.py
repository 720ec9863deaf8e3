"""Forms above 1 MiB, with the model's name behind the file: whole at the provider, on disk at the gateway, gone afterwards."""

from collections.abc import Callable

import pytest

from tests.support.clients import sdk
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.money import model_toml
from tests.support.raw import make_request, send

SOUND = bytes(range(256)) * 4096 * 6  # 6 MiB


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, run_gateway: Callable[..., RunningGateway]) -> RunningGateway:
    tables = provider_toml(provider.base_url) + model_toml(price=None)
    tables += provider_toml(
        provider.origin, name="azure", dialect="azure", extra='api_version = "2024-10-21"'
    )
    tables += model_toml("deployed", targets=["azure"], price=None)
    return run_gateway(tables)


@pytest.mark.parametrize(
    ("path", "model"), [("/v1/audio/transcriptions", "chat"), ("/v1/images/edits", "deployed")]
)
def test_the_model_may_stand_behind_the_file(
    gateway: RunningGateway, provider: FakeProvider, path: str, model: str
) -> None:
    key = gateway.create_key("forms")
    name = "file" if "audio" in path else "image"
    body = (
        b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nhi\r\n'
        + f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="a"\r\n\r\n'.encode()
        + SOUND
        + f'\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n{model}\r\n--b--\r\n'.encode()
    )
    request = make_request(
        key.secret,
        line=f"POST {path} HTTP/1.1".encode(),
        body=body,
        headers=b"Content-Type: multipart/form-data; boundary=b\r\n",
    )
    answer = send(gateway.port, request)
    assert answer.status == 200, answer.body
    sent = provider.ledger()[-1]
    assert sent.model == f"m-{model}"
    assert 0 < sent.body_bytes - len(body) < 300  # a longer boundary and another name, and nothing else
    assert [file.name for file in gateway.data_dir.iterdir() if file.name.startswith("form-")] == []


def test_through_the_sdk_and_again(gateway: RunningGateway, provider: FakeProvider) -> None:
    key = gateway.create_key("sdk")
    provider.set_mode("status", status=503, times=1)
    with sdk(gateway, key.secret, max_retries=1) as client:
        said = client.audio.transcriptions.create(model="chat", file=("a.wav", SOUND))
    assert said.text
    assert provider.ledger()[-1].body_bytes > len(SOUND)
