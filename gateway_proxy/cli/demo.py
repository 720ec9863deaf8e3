"""`demo`: the whole product on an embedded store, in front of a built-in fake provider. This machine only."""

import asyncio
import contextlib
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway_proxy.app.process import run_loop, start_logging
from gateway_proxy.cli.refusal import Refusal
from gateway_proxy.cli.serve import OpenedStore, make_site, open_gateway

if TYPE_CHECKING:
    from gateway_proxy.keys.service import KeyService
    from gateway_proxy.storage import Store

KEY_NAME = "Demo key"
PORTS_TO_TRY = 100
PROVIDER_START_SECONDS = 20.0
_LOCAL_NAMES = ("127.0.0.1", "localhost")

_SETTINGS = """\
# Written by `gateway-proxy demo` at each start.
[server]
listen = "127.0.0.1:{port}"

[storage]
url = "sqlite:demo.db"
data_dir = "data"

[security]
pepper = "file:data/pepper"

[[providers]]
name = "fake"
dialect = "openai"
base_url = "{provider_url}"
models = ["text-embedding-3-small"]

[[models]]
name = "gpt-4o-mini"
targets = [{{ provider = "fake", model = "gpt-4o-mini" }}]
max_output_tokens = 16384
max_input_tokens = 128000
price = {{ input = 0.15, output = 0.60, cached_input = 0.075 }}

[[models]]
name = "text-embedding-3-small"
targets = [{{ provider = "fake", model = "text-embedding-3-small" }}]
max_input_tokens = 8191
price = {{ input = 0.02, output = 0 }}
"""

_GREETING = """
gateway-proxy demo: {url}  (data in {folder}; Ctrl-C stops it)

Dashboard, signed in by this link once:

  {link}

Key, new at each start, with a budget of 5 USD and 60 requests/min:

  {secret}

curl:

  curl {url}/v1/chat/completions \\
    -H "Authorization: Bearer {secret}" \\
    -H "Content-Type: application/json" \\
    -d '{{"model": "gpt-4o-mini", "messages": [{{"role": "user", "content": "Hello"}}]}}'

Python (pip install openai):

  from openai import OpenAI
  client = OpenAI(base_url="{url}/v1", api_key="{secret}")
  stream = client.chat.completions.create(
      model="gpt-4o-mini", messages=[{{"role": "user", "content": "Hello"}}], stream=True)
  for chunk in stream:
      print(chunk.choices[0].delta.content or "", end="")

The same store from the command line:

  {program} keys list -c {settings}
  {program} logs -c {settings}
"""


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Or the next free one."
)
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), default=Path("demo-data"), show_default=True,
    help="Where the demo keeps its store.",
)  # fmt: skip
def demo(port: int, data_dir: Path) -> None:
    """Try everything on this machine, with a built-in fake provider."""
    start_logging()
    run_loop(lambda: _demo(port, data_dir))


async def _demo(port: int, folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = folder.resolve()
    with _claim_folder(folder):
        await _run(_find_port(port), folder)


async def _run(port: int, folder: Path) -> None:
    from gateway_proxy.app.server import Server, run
    from gateway_proxy.config import load_config

    provider, provider_url = await _start_provider()
    try:
        path = folder / "config.toml"
        path.write_text(_SETTINGS.format(port=port, provider_url=provider_url), "utf-8")
        config = load_config(path)
        fresh = not (folder / "demo.db").exists()
        async with OpenedStore(config, for_demo=True) as (store, pepper):
            await _claim_store(store, folder, fresh=fresh)
            from gateway_proxy.admin.services import build_admin
            from gateway_proxy.core.clock import Clock
            from gateway_proxy.keys.service import KeyService

            secret = await _make_key(store, KeyService(store.keys, Clock(), pepper))
            link = await build_admin(store, pepper, Clock(), config).links.make_demo_link()
            gateway = await open_gateway(config, store, pepper)
            hosts = {f"{name}:{port}" for name in _LOCAL_NAMES}
            program = "./run cli" if Path("run").exists() else "gateway-proxy"

            def announce(url: str) -> None:
                shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
                settings = shlex.quote(f"{shown}/config.toml")
                greeting = _GREETING.format(
                    url=url, folder=shown, link=link, secret=secret, program=program, settings=settings
                )
                click.echo(greeting)

            try:
                site = make_site(gateway, pepper)
                await run(Server(gateway, site=site, hosts=lambda host: host.lower() in hosts), announce)
            except OSError as error:
                await gateway.close()
                raise Refusal(f"cannot listen on 127.0.0.1:{port}: {error.strerror or error}") from None
    finally:
        if provider.returncode is None:
            provider.terminate()
            await provider.wait()


@contextlib.contextmanager
def _claim_folder(folder: Path) -> Iterator[None]:
    """Refuse a second demo on a folder before it has changed the key, the link and the settings of the first."""
    from gateway_proxy.ledger.spool import lock_folder

    try:
        held = lock_folder(folder)
    except BlockingIOError:
        raise Refusal(
            f"a demo is running on {folder} already: stop it, or name another folder with --data-dir"
        ) from None
    try:
        yield
    finally:
        os.close(held)


async def _start_provider() -> tuple[asyncio.subprocess.Process, str]:
    provider = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway_proxy.fake_provider", "--port", "0", "--parent-dies",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert provider.stdout is not None
    try:
        async with asyncio.timeout(PROVIDER_START_SECONDS):
            line = (await provider.stdout.readline()).decode()
    except TimeoutError:
        line = ""
    if "listening on " not in line:
        provider.kill()
        raise Refusal("the fake provider of the demo did not start")
    return provider, line.strip().removeprefix("listening on ") + "/v1"


async def _claim_store(store: "Store", folder: Path, *, fresh: bool) -> None:
    if fresh:
        await store.registry.mark_demo()
    elif not await store.registry.is_demo():
        raise Refusal(f"{folder}/demo.db is not the store of a demo; name another folder with --data-dir")


async def _make_key(store: "Store", service: "KeyService") -> str:
    """The demo key's secret: a rotation of the one that is there, else a new key."""
    from gateway_proxy.keys.service import Caller
    from gateway_proxy.storage.key_search import KeyQuery

    await store.registry.ensure_organization("default")
    caller = Caller("demo", "default")
    page = await store.keys.search(KeyQuery(organization="default", search=KEY_NAME, limit=10))
    for key, _ in page.keys:
        if key.name == KEY_NAME and key.revoked_at is None and not key.inactive:
            changed = await service.rotate(key.id, {}, caller)
            break
    else:
        document = {
            "name": KEY_NAME,
            "budget_usd": "5.00",
            "requests_per_minute": 60,
            "tokens_per_minute": 100_000,
        }
        changed = await service.create(document, caller, organization="default")
    assert changed.secret is not None
    return changed.secret


def _find_port(first: int) -> int:
    for port in range(first, min(first + PORTS_TO_TRY, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Refusal(f"no port between {first} and {first + PORTS_TO_TRY - 1} is free; name another with --port")
