"""Programs that people put on top of the SDKs, in a virtual environment of their own: told nothing but URL and key."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway, provider_toml

SCRIPTS = Path(__file__).resolve().parents[1] / "clients"
# Made by `./run test`; see requirements/clients.in.
PROGRAMS = Path(sys.prefix) / "clients" / "bin"


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider) -> Iterator[RunningGateway]:
    tables = provider_toml(provider.base_url, extra='models = ["fake-embedding"]') + (
        '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\nretries = 0\n'
        "price = { input = 1, output = 2 }\nmax_output_tokens = 4096\nmax_input_tokens = 100000\n"
    )
    with RunningGateway(tables) as running:
        yield running


@pytest.fixture(scope="module")
def key(gateway: RunningGateway) -> CreatedKey:
    return gateway.create_key("clients")


@pytest.fixture
def environment(gateway: RunningGateway, key: CreatedKey, tmp_path: Path) -> dict[str, str]:
    assert PROGRAMS.is_dir(), f"{PROGRAMS} is missing: `./run test` makes it"
    return {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "OPENAI_BASE_URL": gateway.url, "OPENAI_API_KEY": key.secret,
        "LLM_USER_PATH": str(tmp_path),
    }  # fmt: skip


def run(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        [str(PROGRAMS / command[0]), *command[1:]],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_langchain(environment: dict[str, str], gateway: RunningGateway) -> None:
    environment["SLOW_API_KEY"] = gateway.create_key("slow", requests_per_minute=120, burst=1).secret
    told = json.loads(run(environment, "python", str(SCRIPTS / "use_langchain.py")))
    said = "tok " * 16
    assert told == {
        "whole": said, "tokens": 16, "later": said, "streamed": said, "streamed_tokens": 16, "batch": [said, said],
        "tool": "look_up", "answer": True, "city": "City", "vectors": 2, "refused": "model_not_found", "retried": said,
    }  # fmt: skip


def test_instructor(environment: dict[str, str]) -> None:
    told = json.loads(run(environment, "python", str(SCRIPTS / "use_instructor.py")))
    assert told == {
        "by_tool": "City", "by_schema": "City", "tokens": True, "later": "City", "partial": True, "refused": True,
    }  # fmt: skip


def test_llm(environment: dict[str, str], gateway: RunningGateway, key: CreatedKey, tmp_path: Path) -> None:
    """Simon Willison's command line, which knows other servers by a file."""
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: ours\n  model_name: chat\n  api_base: {gateway.url}\n  api_key_name: ours\n  supports_schema: true\n"
    )
    (tmp_path / "keys.json").write_text(json.dumps({"ours": key.secret}))
    asked = ("llm", "-m", "ours")
    said = ("tok " * 16).strip()
    assert run(environment, *asked, "hello").strip() == said
    assert run(environment, *asked, "--no-stream", "hello").strip() == said
    assert set(json.loads(run(environment, *asked, "--schema", "name, people int", "hello"))) == {
        "name",
        "people",
    }
    (tmp_path / "keys.json").write_text(json.dumps({"ours": "gwk_wrong"}))
    done = subprocess.run(
        [str(PROGRAMS / "llm"), *asked[1:], "hello"],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "invalid_api_key" in done.stderr, done.stderr
