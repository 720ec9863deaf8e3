"""The names that other people's programs use: all there, cheap to import, and shown by examples that run."""

import asyncio
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import aiohttp
import pytest

import gateway_proxy
from tests.habits.sources import ROOT
from tests.support.foreign import serve_app, write_settings

CHEAP = """
import sys, threading
before = set(sys.modules)
import gateway_proxy, dashboard
dir(gateway_proxy)
print(sorted(name for name in set(sys.modules) - before if "." not in name), threading.active_count())
"""


def test_importing_loads_nothing_and_starts_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHEAP],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    loaded, threads = done.stdout.strip().rsplit(" ", 1)
    assert (threads, {"gateway_proxy", "dashboard"} - set(eval(loaded))) == ("1", set())
    assert not {"aiohttp", "asyncio", "pydantic", "sqlite3", "multidict"} & set(eval(loaded))


def test_every_name_is_there_and_documented() -> None:
    guides = "".join(
        (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("python.md", "plugins.md")
    )
    for name in gateway_proxy.__all__:
        assert getattr(gateway_proxy, name) is not None
        assert name in guides, name
    assert set(gateway_proxy.__all__) <= set(dir(gateway_proxy))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gateway_proxy.nothing


def load_example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", ROOT / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["mounted", "mounted_with_dashboard"])
async def test_the_examples_run(name: str, tmp_path: Path) -> None:
    app = load_example(name).make_app(str(write_settings(tmp_path, "")))
    pages = {"/": 200, "/llm/healthz": 200, "/llm/v1/models": 401, "/v1/models": 404}
    if "dashboard" in name:
        pages |= {"/gateway/sign-in": 200, "/gateway/api/v1/keys": 401}
    async with serve_app(app) as foreign, aiohttp.ClientSession(foreign.origin) as session:
        for path, status in pages.items():
            async with session.get(path) as answer:
                assert answer.status == status, path
    await asyncio.sleep(0)


def test_the_guide_shows_the_example() -> None:
    guide = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    example = (ROOT / "examples" / "mounted_with_dashboard.py").read_text(encoding="utf-8")
    code = example.partition('"""\n\n')[2]
    assert f"```python\n{code}```" in guide
