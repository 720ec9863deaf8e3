"""Settings → runtime: complete, or an exception and nothing changed."""

from pathlib import Path

import pytest

from gateway_proxy.app.runtimes import build_runtime, make_dialects
from gateway_proxy.config import ConfigError, load_config
from gateway_proxy.config.plugins import BUILT_IN_DIALECTS, BUILT_IN_STAGES
from tests.support.in_process import serve
from tests.support.plugins import InstallPlugin

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


PLUGINS = """
from gateway_proxy import Denied, OpenAIDialect, Stage

class No(Stage):
    def check(self, exchange):
        raise Denied("no")

class Vendor(OpenAIDialect):
    speaks = frozenset(("openai", "azure"))
"""


async def test_plugins_stand_where_the_settings_say(tmp_path: Path, install_plugin: InstallPlugin) -> None:
    install_plugin(PLUGINS, stages={"one": "No", "two": "No", "three": "No"}, dialects={"vendor": "Vendor"})
    async with serve(tmp_path, "") as served:
        path = tmp_path / "other.toml"
        uses = [("one", "authenticate"), ("two", "admission"), ("three", "admission")]
        stages = ", ".join(f'{{ use = "{use}", before = "{before}" }}' for use, before in uses)
        provider = PROVIDER.replace('"openai"', '"vendor"')
        path.write_text(f"[pipeline]\nstages = [{stages}]\n{provider}")
        config = load_config(path)
        runtime = build_runtime(config, 2, served.gateway.services, served.gateway.runtime)
        assert (
            tuple(stage.name for stage in runtime.pipeline.stages if stage.name not in dict(uses))
            == BUILT_IN_STAGES
        )
        names = [stage.name for stage in runtime.pipeline.stages]
        assert names[:2] == ["one", "authenticate"] and names[-3:] == ["two", "three", "admission"]
        link = runtime.links["fake"]
        assert type(link.dialect).__name__ == "Vendor" and "vendor" not in runtime.dialects
        assert build_runtime(config, 3, served.gateway.services, runtime).links["fake"] is link
        path.write_text(path.read_text() + "[plugins.vendor]\nx = 1\n")
        with pytest.raises(ConfigError, match=r"plugins\.vendor: the plugin refuses its settings"):
            build_runtime(load_config(path), 4, served.gateway.services, runtime)
        await link.close()


def test_the_settings_know_the_built_in_stages_and_dialects() -> None:
    assert tuple(make_dialects()) == BUILT_IN_DIALECTS
