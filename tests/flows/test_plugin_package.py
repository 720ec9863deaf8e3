"""The plugin of the guide: its code is the example's, and its wheel, built and installed, works in the real command."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway_proxy import ConfigError, Denied, load_config
from gateway_proxy.plugins.load import load_plugins
from tests.habits.sources import ROOT

EXAMPLE = ROOT / "examples" / "plugin"
GUIDE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
SETTINGS = """
[pipeline]
stages = [{ use = "confidential", before = "rate" }]
[plugins.confidential]
"""


def run_python(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INDEX": "1"}
    if path is not None:
        environment["PYTHONPATH"] = os.pathsep.join((str(path), str(ROOT)))
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin's wheel installed in it, which pip builds first."""
    site = tmp_path_factory.mktemp("site")
    done = run_python(
        "pip",
        "install",
        "--no-deps",
        "--no-build-isolation",
        "--no-compile",
        "--target",
        str(site),
        str(EXAMPLE),
    )
    assert done.returncode == 0, done.stderr
    assert (site / "gateway_proxy_confidential-1.0.0.dist-info" / "WHEEL").exists()
    return site


def test_the_command_finds_it_once_it_is_installed(installed: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(SETTINGS + "providers = []\n")
    with pytest.raises(ConfigError, match=r"config\.toml:3: pipeline\.stages\[0\]\.use: no plugin offers"):
        load_config(path)
    checked = run_python("gateway_proxy", "check", "-c", str(path), path=installed)
    assert checked.returncode == 1
    assert (
        "config.toml:4: plugins.confidential: the plugin refuses its settings: providers must"
        in checked.stderr
    )


def test_its_wheel_is_a_stage(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed))
    path = tmp_path / "config.toml"
    path.write_text(SETTINGS + 'providers = ["a"]\n')
    ((before, guard),) = load_plugins(load_config(path)).guards
    assert (before, guard.name) == ("rate", "confidential")
    assert sys.modules[type(guard.stage).__module__].__file__ == str(
        installed / "gateway_proxy_confidential.py"
    )


def documented_code() -> str:
    code = re.search(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    assert code is not None
    return code[1]


def test_the_guide_shows_the_example_as_it_is() -> None:
    assert documented_code() == (EXAMPLE / "gateway_proxy_confidential.py").read_text(encoding="utf-8")
    assert f"```toml\n{(EXAMPLE / 'pyproject.toml').read_text(encoding='utf-8')}```" in GUIDE
    assert 20 <= len(documented_code().splitlines()) <= 40


def see(text: str, *providers: str, **metadata: Any) -> Any:
    targets = tuple(SimpleNamespace(provider=name) for name in providers)
    return SimpleNamespace(key=SimpleNamespace(metadata=metadata), body={"messages": text}, targets=targets)


def test_the_documented_stage_does_what_it_says() -> None:
    module: dict[str, Any] = {}
    exec(compile(documented_code(), "docs/plugins.md", "exec"), module)
    with pytest.raises(ValueError, match="at least one"):
        module["Confidential"](providers=[])
    stage = module["Confidential"](providers=["in-house"], words=["Project Aurora"])
    stage.check(see("hello", "elsewhere"))
    stage.check(see("project aurora", "in-house", data="confidential"))
    for refused in (
        see("about PROJECT AURORA", "in-house", "elsewhere"),
        see("x", "elsewhere", data="confidential"),
    ):
        with pytest.raises(Denied, match="may not go to elsewhere") as denied:
            stage.check(refused)
        assert (denied.value.code, denied.value.param) == ("confidential", "model")
