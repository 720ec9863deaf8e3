"""Plugins that are installed for one test: a module and the metadata of its distribution, in a folder on the path.

def test_it(install_plugin):
    install_plugin("class No(Stage): …", stages={"no": "No"})
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

__all__ = ["InstallPlugin", "install_plugin"]

InstallPlugin = Callable[..., Path]


def write_plugin(folder: Path, source: str, name: str = "acme", **groups: Mapping[str, str]) -> Path:
    """`groups`: stages, dialects, sinks, each a plugin's name → the class in `source`. Returns the module's file."""
    folder.mkdir(parents=True, exist_ok=True)
    module = folder / f"{name}_plugin.py"
    module.write_text(source)
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        line
        for group, plugins in groups.items()
        for line in (
            f"[gateway_proxy.{group}]",
            *(f"{plugin} = {name}_plugin:{attribute}" for plugin, attribute in plugins.items()),
        )
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return module


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InstallPlugin]:
    """Installs any number of them, for this test only."""
    before = set(sys.modules)
    count = 0

    def install(source: str, name: str = "acme", **groups: Mapping[str, str]) -> Path:
        nonlocal count
        count += 1
        folder = tmp_path / f"site-{count}"
        module = write_plugin(folder, source, name, **groups)
        monkeypatch.syspath_prepend(str(folder))
        return module

    yield install
    for name in set(sys.modules) - before:
        if name.endswith("_plugin"):
            del sys.modules[name]
