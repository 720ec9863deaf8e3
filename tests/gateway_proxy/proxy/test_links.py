"""One provider as the relay reaches it: a fixed head, and an identity that says when to reconnect."""

import pytest

from gateway_proxy.config import Config, load_config
from gateway_proxy.dialects.openai import OpenAIDialect
from gateway_proxy.proxy.links import ProviderLink, identify_provider


def settings(
    tmp_path, *, base_url: str = "http://127.0.0.1:9/v1/", secret: str = "pk-1", connect: int = 5
) -> Config:  # type: ignore[no-untyped-def]
    (tmp_path / "key").write_text(secret)
    (tmp_path / "key").chmod(0o600)
    path = tmp_path / "config.toml"
    path.write_text(
        f'[[providers]]\nname = "fake"\ndialect = "openai"\nbase_url = "{base_url}"\napi_key = "file:key"\ntimeouts = {{ connect = {connect} }}\n'
    )
    return load_config(path)


async def test_the_head_is_made_of_settings(tmp_path) -> None:  # type: ignore[no-untyped-def]
    link = ProviderLink(settings(tmp_path).providers[0], OpenAIDialect())
    lines = (
        link.encode_head("/chat/completions", "application/json", 5, b"x-request-id: req_1\r\n")
        .decode()
        .split("\r\n")
    )
    assert lines[0] == "POST /v1/chat/completions HTTP/1.1"
    assert set(lines[1:-2]) == {
        "host: 127.0.0.1:9", "accept-encoding: identity", "Authorization: Bearer pk-1", "content-type: application/json", "content-length: 5",
        "x-request-id: req_1",
    }  # fmt: skip
    assert lines[-2:] == ["", ""] and not link.modern_cap_field
    assert "pk-1" not in repr(link)
    await link.close()


@pytest.mark.parametrize(
    "change", [{"base_url": "http://127.0.0.1:8/v1"}, {"secret": "pk-2"}, {"connect": 6}]
)
def test_what_needs_new_connections(tmp_path, change: dict[str, object]) -> None:  # type: ignore[no-untyped-def]
    before = identify_provider(settings(tmp_path).providers[0])
    assert before == identify_provider(settings(tmp_path).providers[0])
    assert before != identify_provider(settings(tmp_path, **change).providers[0])
