"""A fleet on one machine: gateways on one PostgreSQL store and one Redis, each with a fault proxy before the store, and
one provider; with `redis_links` another one each before its Redis.

with Cluster(url, redis_url, provider, gateways=4) as cluster:
    key = cluster.create_key()
    cluster.links[2].blackhole()  # the third gateway is cut off from the store
"""

import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from tests.rig.fault_proxy import FaultProxy
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway, provider_toml
from tests.support.money import FLAT, model_toml

__all__ = ["Cluster"]


class Cluster:
    """`url` is a database that has the schema, on a server's Unix socket; `tables` are added to every gateway's settings.

    `gateway` are lines of their [gateway] table; `programs` are what the first of them run in the gateway's place. `gateways` and `links` (to the store) have the same order. Everything ends with the context.
    """

    def __init__(
        self,
        url: str,
        redis_url: str,
        provider: FakeProvider,
        *,
        gateways: int = 2,
        tables: str = "",
        gateway: str = "",
        server: str = "drain_seconds = 2",
        redis_links: bool = False,
        programs: Sequence[tuple[str, ...]] = (),
    ) -> None:
        self.provider = provider
        self.url = url
        self.gateways: list[RunningGateway] = []
        self.links: list[FaultProxy] = []
        self.redis_links: list[FaultProxy] = []
        self._redis_url, self._has_redis_links = redis_url, redis_links
        self._folder = tempfile.TemporaryDirectory(prefix="cluster-")
        self._server, self._gateway = server, gateway
        pepper = Path(self._folder.name) / "pepper"
        pepper.touch(0o600)
        pepper.write_text(secrets.token_hex(32))
        self._tables = f'[security]\npepper = "file:{pepper}"\n{provider_toml(provider.base_url)}{model_toml(price=FLAT)}{tables}'
        try:
            for number in range(gateways):
                self._add(number)
            for gateway, program in zip(self.gateways, programs, strict=False):
                gateway.program = program
            for gateway in self.gateways:
                gateway.spawn()
            for gateway in self.gateways:
                gateway.wait_until_ready()
        except BaseException:
            self.close()
            raise

    def _add(self, number: int) -> None:
        socket_folder, database = _read_socket_url(self.url)
        link = FaultProxy(f"{socket_folder}/.s.PGSQL.5432")
        self.links.append(link)
        named = f'[gateway]\nname = "gateway-{number}"\n{self._gateway}\n[shared]\nredis_url = "{self._make_redis_url()}"\n'
        self.gateways.append(
            RunningGateway(
                named + self._tables,
                server=self._server,
                # Of gateways that share a machine with each other, provider and clients none has an idle core for its helper.
                environment={"GATEWAY_PROXY_ADMIN_PRIORITY": "low"},
                store_url=f"postgresql://gateway@127.0.0.1:{link.port}/{database}?sslmode=disable",
                start=False,
            )
        )

    def _make_redis_url(self) -> str:
        if not self._has_redis_links:
            return self._redis_url
        self.redis_links.append(FaultProxy(self._redis_url.removeprefix("unix://")))
        return f"redis://127.0.0.1:{self.redis_links[-1].port}"

    def create_key(self, name: str = "test", **members: Any) -> CreatedKey:
        """A key that is live on every gateway when this returns."""
        return self.gateways[0].create_key(name, **members)

    async def fetch(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """Rows of the store, past all gateways."""
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(sql, *args)]
        finally:
            await connection.close()

    def close(self) -> None:
        for gateway in self.gateways:
            gateway.close()
        for link in (*self.links, *self.redis_links):
            link.close()
        self._folder.cleanup()

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read_socket_url(url: str) -> tuple[str, str]:
    """Folder of the server's socket, and database."""
    parts = urlsplit(url)
    return parts.query.removeprefix("host="), parts.path.removeprefix("/")
