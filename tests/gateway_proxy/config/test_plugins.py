"""Plugins are looked for by name only, and what is wrong with a name is said at its line."""

import datetime
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.config import ConfigError, Secret, config_from_dict, load_config
from gateway_proxy.config.plugins import BUILT_IN_DIALECTS, find_installed, find_plugin_mistakes, reveal
from tests.support.plugins import InstallPlugin


def found(data: dict[str, Any]) -> dict[tuple[str | int, ...], str]:
    return dict(find_plugin_mistakes(data))


def stages(*uses: tuple[str, str]) -> dict[str, Any]:
    return {"pipeline": {"stages": [{"use": use, "before": before} for use, before in uses]}}


def test_without_plugins_nobody_looks_for_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_proxy.config.plugins.find_installed", lambda group: pytest.fail("looked"))
    assert not found({})
    assert not found({"providers": [{"name": "a", "dialect": name} for name in BUILT_IN_DIALECTS]})
    assert not found({"providers": [{"name": "a"}], "logs": {"sinks": []}, "pipeline": {"stages": 3}})
    for odd in ([], {}):  # what is no name at all is for the settings' own types to refuse
        assert not found({"providers": [{"dialect": odd}], "logs": {"sinks": [{"use": odd}]}})


def test_installed_ones_are_found_and_not_imported(install_plugin: InstallPlugin) -> None:
    install_plugin("raise ImportError", stages={"mine": "A"}, dialects={"vendor": "B"}, sinks={"lake": "C"})
    data = {
        **stages(("mine", "admission")),
        "providers": [{"name": "a", "dialect": "vendor"}, {"name": "b", "dialect": "vendor"}],
        "logs": {"sinks": [{"use": "lake"}]},
        "plugins": {"mine": {"words": []}, "vendor": {}, "lake": {}},
    }
    assert not found(data)
    assert "acme_plugin" not in sys.modules


def test_what_is_wrong_with_names(install_plugin: InstallPlugin) -> None:
    install_plugin("", stages={"mine": "A", "other": "A"})
    here = ("pipeline", "stages", 0)
    assert 'did you mean "mine"?' in found(stages(("mime", "rate")))[*here, "use"]
    assert "write one of: mine, other;" in found(stages(("zzz", "rate")))[*here, "use"]
    twice = found(stages(("mine", "rate"), ("other", "rate"), ("mine", "network")))
    assert list(twice) == [("pipeline", "stages", 2, "use")]
    assert "pipeline.stages[0]" in twice["pipeline", "stages", 2, "use"]
    assert "authenticate, network" in found(stages(("mine", "other")))[*here, "before"]
    assert "none is installed" in found({"logs": {"sinks": [{"use": "x"}]}})["logs", "sinks", 0, "use"]
    dialect = found({"providers": [{"name": "a", "dialect": "anthropik"}]})["providers", 0, "dialect"]
    assert 'did you mean "anthropic"?' in dialect
    unused = found({**stages(("mine", "rate")), "plugins": {"mine": {}, "mien": {}}})
    assert list(unused) == [("plugins", "mien")] and "nothing uses" in unused["plugins", "mien"]


def test_two_that_offer_the_same_name(install_plugin: InstallPlugin) -> None:
    install_plugin("", stages={"mine": "A"})
    install_plugin("", "rival", stages={"mine": "A"})
    assert len(find_installed("gateway_proxy.stages")["mine"]) == 2
    message = found(stages(("mine", "rate")))["pipeline", "stages", 0, "use"]
    assert "acme" in message and "rival" in message


def test_mistakes_stand_beside_all_others_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[server]\nworkers = 0\n[pipeline]\nstages = [\n  { use = "nobody", before = "sometime" },\n]\n'
    )
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    lines = [str(mistake) for mistake in refused.value.mistakes]
    assert [line.partition(": ")[0] for line in lines] == [f"{path}:2", f"{path}:5", f"{path}:5"]
    assert "pipeline.stages[0].before" in lines[1] and "pipeline.stages[0].use" in lines[2]


def test_settings_of_a_plugin_keep_their_secrets(install_plugin: InstallPlugin, tmp_path: Path) -> None:
    install_plugin("", stages={"mine": "A"})
    day = datetime.date(2026, 1, 2)
    settings = {"token": "env:T", "deep": [{"t": "env:T"}], "n": 3, "day": day, "plain": "envoy"}
    data = {**stages(("mine", "rate")), "plugins": {"mine": settings}}
    config = config_from_dict(data, tmp_path, {"T": "canary"})
    mine = config.plugins["mine"]
    assert mine["token"] == Secret("canary") and mine["plain"] == "envoy"
    assert reveal(mine) == {**settings, "token": "canary", "deep": [{"t": "canary"}]}
    assert "canary" not in repr(config) + str(config.without_secrets()) + config.model_dump_json()
    assert config.without_secrets()["plugins"] == {
        "mine": {**settings, "token": "***", "deep": [{"t": "***"}], "day": "2026-01-02"}
    }
    assert config.digest != config_from_dict(data, tmp_path, {"T": "other"}).digest
    with pytest.raises(ConfigError, match="variable T is not set"):
        config_from_dict(data, tmp_path, {})
