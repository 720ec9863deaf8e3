"""The plugin of the guide: its code is the example's, and its wheel, built and installed, works in the real command."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway_proxy import Denied
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
    """A folder with the plugin's wheel installed in it."""
    wheels, site = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    built = run_python(
        "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(EXAMPLE)
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = wheels.glob("gateway_proxy_confidential-1.0.0-*.whl")
    done = run_python("pip", "install", "--no-deps", "--target", str(site), str(wheel))
    assert done.returncode == 0, done.stderr
    return site


def check(folder: Path, site: Path | None, settings: str) -> subprocess.CompletedProcess[str]:
    path = folder / "config.toml"
    path.write_text(SETTINGS + settings)
    return run_python("gateway_proxy", "check", "-c", str(path), path=site or folder)


def test_the_wheel_works_once_it_is_installed(installed: Path, tmp_path: Path) -> None:
    missing = check(tmp_path, None, 'providers = ["a"]\n')
    assert (
        missing.returncode == 1
        and "config.toml:3: pipeline.stages[0].use: no plugin offers" in missing.stderr
    )
    assert check(tmp_path, installed, 'providers = ["a"]\n').returncode == 0
    wrong = check(tmp_path, installed, "providers = []\n")
    assert wrong.returncode == 1
    assert (
        "config.toml:4: plugins.confidential: the plugin refuses its settings: providers must" in wrong.stderr
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
