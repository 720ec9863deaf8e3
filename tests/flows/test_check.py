"""`check` names every mistake of a settings file at once, each with its line, and starts and writes nothing."""

import json
import re
from pathlib import Path

import pytest

from tests.support.command_line import command

PROVIDER = '[[providers]]\nname = "fake"\ndialect = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
# Each text with the lines that have a mistake, and a word of what is said about it.
WRONG: dict[str, tuple[str, dict[int, str]]] = {
    "unknown keys": ('[server]\nlisen = "x"\n[gatewy]\nname = "x"\n', {2: "server.lisen", 3: "gatewy"}),
    "wrong types": (
        '[server]\nmax_body_bytes = "many"\ndrain_seconds = "soon"\n[logs]\nrequests = "yes"\n',
        {2: "server.max_body_bytes", 3: "server.drain_seconds", 5: "logs.requests"},
    ),
    "no TOML": ("[server]\nlisten = \n", {2: ""}),
    "no TOML in two places": ('[server\nlisten = "127.0.0.1:1"\n[logs]\nrequests = maybe\n', {1: ""}),
    "an address without a port": ('[server]\nlisten = "127.0.0.1"\n', {2: "server.listen"}),
    "networks with host bits": (
        '[server]\ntrusted_proxies = [\n  "10.0.0.0/8",\n  "192.168.1.7/24",\n]\n', {4: "192.168.1.0/24"},
    ),
    "a secret in the file": (PROVIDER + 'api_key = "sk-very-secret"\n', {5: "providers[0].api_key"}),
    "a secret that is not there": (
        PROVIDER + 'api_key = "env:NOT_SET_ANYWHERE"\n' + PROVIDER.replace("fake", "two") + 'api_key = "file:missing.key"\n',
        {5: "NOT_SET_ANYWHERE", 10: "missing.key"},
    ),
    "twins": (
        PROVIDER + PROVIDER + '[[models]]\nname = "m"\ntargets = [{ provider = "fake", model = "x" }]\n'
        '[[models]]\nname = "m"\ntargets = [{ provider = "fake", model = "x" }]\n',
        {6: "fake", 13: '"m"'},
    ),
    "targets of nobody": (
        PROVIDER + '[[models]]\nname = "m"\ntargets = [\n  { provider = "fake", model = "x" },\n  { provider = "nobody", model = "x" },\n]\n',
        {9: "nobody"},
    ),
    "prices that are none": (
        PROVIDER + '[[models]]\nname = "m"\ntargets = [{ provider = "fake", model = "x" }]\nprice = { input = -1, outptu = 2 }\n',
        {8: "models[0].price"},
    ),
    "workers without what they need": ("[server]\nworkers = 4\n", {2: "postgresql"}),
    "half a pair": ('[server]\ntls = { cert = "cert.pem" }\n', {2: "server.tls"}),
    "choices that are none": (
        '[security]\nbudget_status = 418\n[models_default]\nunpriced = "maybe"\n[mcp]\ndenied_style = "silent"\n',
        {2: "security.budget_status", 4: "models_default.unpriced", 6: "mcp.denied_style"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "mistakes"), WRONG.values(), ids=WRONG.keys())
def test_every_mistake_is_named_with_its_line(tmp_path: Path, text: str, mistakes: dict[int, str]) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    printed = command("check", "-c", str(path))
    assert (printed.code, printed.out) == (1, "")
    lines = printed.err.splitlines()
    found = [re.match(rf"{re.escape(str(path))}:(\d+): ", line) for line in lines]
    assert all(found), printed.err
    numbers = [int(match[1]) for match in found if match]
    assert set(numbers) == mistakes.keys(), printed.err
    for number, word in mistakes.items():
        assert any(word in line for line, at in zip(lines, numbers, strict=True) if at == number), printed.err
    assert "sk-very-secret" not in printed.err and "Traceback" not in printed.err
    as_json = command("check", "-c", str(path), "--json")
    told = json.loads(as_json.out)
    assert as_json.code == 1 and told["valid"] is False
    assert [error["line"] for error in told["errors"]] == numbers
    assert list(tmp_path.iterdir()) == [path]


def test_all_mistakes_of_one_file_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[server]\nlisten = "nowhere"\nlisen = 1\n[security]\nbudget_status = 400\n[[providers]]\nname = "Big"\n'
        'dialect = "klingon"\n[[models]]\nname = "a b"\ntargets = [{ provider = "nobody", model = "x" }]\nretries = 99\n'
    )
    printed = command("check", "-c", str(path))
    numbers = {int(line.split(":")[1]) for line in printed.err.splitlines()}
    assert numbers >= {2, 3, 5, 7, 8, 10, 11, 12}, printed.err


def test_a_good_file_is_called_valid_and_its_unpriced_models_are_named(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        PROVIDER
        + 'models = ["plain"]\n[[models]]\nname = "dear"\ntargets = [{ provider = "fake", model = "x" }]\n'
        "price = { input = 1, output = 1 }\n"
    )
    told = command("check", "-c", str(path), "--json")
    assert (told.code, told.err) == (0, "")
    assert json.loads(told.out) == {"valid": True, "errors": [], "models": 2, "unpriced_models": ["plain"]}
    assert "plain" in command("check", "-c", str(path)).out
    assert list(tmp_path.iterdir()) == [path]
    missing = command("check", "-c", str(tmp_path / "missing.toml"))
    assert missing.code == 1 and "does not exist" in missing.err
