"""Loading: every mistake at once, with file, line, key and advice; digests that notice each change."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_proxy.config import Config, ConfigError, config_from_dict, load_config

ROOT = Path(__file__).parents[3]
BAD = """\
[server]
listen = "localhost"
workers = 4
lisen = 3
trusted_proxies = ["10.0.0.0/8",
  "10.0.0.1/8"]

[[providers]]
name = "acme"
api_key = "sk-canary"
timout = 5
[[providers]]
name = "Acme"
[[models]]
name = "m"
targets = [
  { provider = "nobody", model = "x", weight = -1 },
  { provider = "acme" },
]
price.input = -2
[models_default]
unpriced = { input = 1 }
[bogus]
[dashboard]
enabled = "yes"
oidc = 3
[security]
budget_status = 430
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cfg.toml"


def refuse(file: Path, text: str | bytes, environment: dict[str, str] | None = None) -> list[str]:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_config(file, environment or {})
    assert all(mistake.file == file for mistake in caught.value.mistakes)
    return [str(mistake).removeprefix(f"{file}") for mistake in caught.value.mistakes]


def test_every_mistake_is_reported_with_its_line(file: Path) -> None:
    mistakes = refuse(file, BAD)
    starts = [":".join(mistake.split(":")[:3]) for mistake in mistakes]
    assert starts == [
        ":2: server.listen",
        ":3: server.workers",
        ":4: server.lisen",
        ":6: server.trusted_proxies[1]",
        ":8: providers[0].base_url",
        ":10: providers[0].api_key",
        ":11: providers[0].timout",
        ":13: providers[1].name",
        ":17: models[0].targets[0].provider",
        ":17: models[0].targets[0].weight",
        ":18: models[0].targets[1].model",
        ":20: models[0].price.input",
        ":22: models_default.unpriced.output",
        ":23: bogus",
        ":25: dashboard.enabled",
        ":26: dashboard.oidc",
        ":28: security.budget_status",
    ]
    assert not any("canary" in mistake for mistake in mistakes)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (
            '[[providers]]\nname = "openai"\ntimout = 5',
            ':3: providers[0].timout: unknown key; did you mean "timeouts"?',
        ),
        ("[server.tls]\nkeys = 1", ':2: server.tls.keys: unknown key; did you mean "key"?'),
        ("[models_default.unpriced]\ninput = 1\noutput = 1\noutputs = 2", 'did you mean "output"?'),
        (
            '[[mcp.servers]]\nname = "x"\nenv = { "A=B" = "env:C" }',
            ':3: mcp.servers[0].env."A=B": must be a variable',
        ),
        ("[logs]\nzzz = 1", "unknown key; write one of: requests, bodies, retention_days"),
        ('"" = 1', ':1: "": unknown key'),
        ("logs.bodies.deep = 1", ":1: logs.bodies: must be a boolean"),
        ("[[logs]]", ":1: logs: must be a table"),
        ("[providers]", ":1: providers: must be a list"),
        (
            '[models_default]\nunpriced = "maybe"',
            ":2: models_default.unpriced: must be one of 'deny' or 'free'",
        ),
        ("[server]\nmax_body_bytes = 1.5", ":2: server.max_body_bytes: must be a whole number"),
        ("[server]\ndrain_seconds = nan", "must be"),
        ("[server]\ndrain_seconds = -1", "must be at least 0"),
        ("[server]\nworkers = 1000", "must be at most 256"),
        ("[gateway]\nname = 5", "must be text"),
        ("[gateway]\nmax_staleness_seconds = 0", "must be greater than 0"),
    ],
)
def test_advice(file: Path, text: str, advice: str) -> None:
    assert any(advice in mistake for mistake in refuse(file, text))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a = 1\nb = \nc = 2", ":2: is not valid TOML: Invalid value at column 5"),
        ("a = 1\nb = [1,\n\n", ":2: is not valid TOML: Invalid value where the file ends"),
        ("a = 1\na = 2", ":2: is not valid TOML: Cannot overwrite a value"),
        (b"a = 1\nb = '\xff'", ":2: is not UTF-8 text"),
        ("a = " + "[" * 5000, ": is nested too deeply"),
        ("a = " + "9" * 5000, ": holds a number that is too long"),
        (b"x" * (8 * 1024 * 1024 + 1), ": is larger than"),
    ],
)
def test_files_that_are_no_toml(file: Path, text: str | bytes, problem: str) -> None:
    (mistake,) = refuse(file, text)
    assert mistake.startswith(problem)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    cases = {
        tmp_path: "is a directory",
        tmp_path / "missing.toml": "does not exist",
        tmp_path / "a\0b": "is no path",
        tmp_path / ("x" * 300): "cannot be read",
    }
    for path, problem in cases.items():
        with pytest.raises(ConfigError, match=problem) as caught:
            load_config(path)
        assert len(caught.value.mistakes) == 1


def test_a_missing_variable_is_named_with_its_line(file: Path) -> None:
    text = '[[providers]]\nname = "openai"\napi_key = "env:NOBODY_SETS_THIS"\n'
    (mistake,) = refuse(file, text)
    assert mistake.startswith(":3: providers[0].api_key: environment variable NOBODY_SETS_THIS is not set")


def test_paths_start_at_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('[[providers]]\nname = "openai"\napi_key = "file:key"\n[storage]\nurl = "sqlite:a.db"')
    (file.parent / "key").write_text("canary\n")
    monkeypatch.chdir(file.parent)
    config = load_config(Path(file.name))
    assert config.providers[0].api_key is not None
    assert config.providers[0].api_key.reveal() == "canary"
    assert config.storage.sqlite_path == file.parent / "a.db"
    assert config.source == file


def test_no_file_means_the_defaults_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(None)
    assert config.storage.sqlite_path == tmp_path / "gateway.db"
    assert config.source is None


def test_the_process_environment_is_the_default(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "canary")
    file.write_text('[[providers]]\nname = "openai"\napi_key = "env:SOME_KEY"\n')
    assert load_config(file).providers[0].api_key is not None


def test_a_byte_order_mark_is_no_mistake(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf[logs]\r\nbodies = true\r\n")
    assert load_config(file).logs.bodies is True


def test_mistakes_in_a_dict_have_no_file() -> None:
    with pytest.raises(ConfigError, match=r'^settings: logs\.body: unknown key; did you mean "bodies"\?$'):
        config_from_dict({"logs": {"body": True}})


def digest(key: str, folder: Path, **settings: object) -> str:
    data = {"providers": [{"name": "openai", "api_key": "env:KEY"}], **settings}
    return config_from_dict(data, folder, {"KEY": key}).digest


def test_the_digest_notices_settings_and_secrets(tmp_path: Path) -> None:
    first = digest("canary-1", tmp_path)
    assert first == digest("canary-1", tmp_path)
    assert len(first) == 64
    assert first != digest("canary-2", tmp_path)
    assert first != digest("canary-1", tmp_path, logs={"bodies": True})
    assert first == digest("canary-1", tmp_path, logs={"bodies": False})


@pytest.mark.slow
def test_start_stays_light() -> None:
    heavy = ["aiohttp", "watchfiles", "tree_sitter", "genai_prices", "anyio"]
    program = (
        "import sys; from gateway_proxy.config import load_config; load_config();"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_loaded_config_is_a_config(file: Path) -> None:
    file.write_text("")
    assert isinstance(load_config(file), Config)


def test_paths_may_be_text(file: Path) -> None:
    file.write_text('[storage]\ndata_dir = "here"\n')
    assert load_config(str(file)) == load_config(file)
    of_dict = config_from_dict({"storage": {"data_dir": "here"}}, str(file.parent))
    assert of_dict.storage.data_dir == file.parent / "here"
