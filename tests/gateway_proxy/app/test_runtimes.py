"""Settings → runtime: complete, or an exception and nothing changed."""

from pathlib import Path

from gateway_proxy.app.runtimes import build_runtime
from gateway_proxy.config import load_config
from tests.support.in_process import serve

PROVIDER = (
    '[[providers]]\nname = "fake"\ndialect = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nmodels = ["m"]\n'
)


async def test_unchanged_providers_keep_their_connections(tmp_path: Path) -> None:
    async with serve(tmp_path, PROVIDER) as served:
        gateway = served.gateway
        again = build_runtime(gateway.config, 2, gateway.services, gateway.runtime)
        assert again.links["fake"] is gateway.runtime.links["fake"] and again.revision == 2
        fresh = build_runtime(gateway.config, 3, gateway.services, None)
        assert fresh.links["fake"] is not gateway.runtime.links["fake"]
        assert again.catalog.resolve("m") is not None and again.catalog.resolve("fake/other") is not None
        names = [stage.name for stage in again.pipeline.stages]
        assert names == ["authenticate", "network", "route", "allow", "rate", "budget", "admission"]
        await fresh.links["fake"].close()


async def test_each_provider_is_spoken_to_in_its_dialect(tmp_path: Path) -> None:
    async with serve(tmp_path, "") as served:
        path = tmp_path / "other.toml"
        dialects = ("openai", "anthropic", "gemini", "azure")
        path.write_text(
            "".join(
                f'[[providers]]\nname = "{name}"\ndialect = "{name}"\nbase_url = "http://127.0.0.1:9"\n'
                for name in dialects
            )
        )
        runtime = build_runtime(load_config(path), 2, served.gateway.services, served.gateway.runtime)
        assert {name: link.dialect.name for name, link in runtime.links.items()} == {n: n for n in dialects}
        assert runtime.dialects.keys() == set(dialects)
        for link in runtime.links.values():
            await link.close()
