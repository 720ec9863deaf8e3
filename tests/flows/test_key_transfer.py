"""Keys leave as CSV or JSON and come back as the same keys with new secrets, live at once."""

import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import command, create, keys
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml

FLAGS = (
    ("--rpm", "60", "--tpm", "1000", "--burst", "5", "--max-parallel", "2", "--models", "chat,gpt-*", "--strict"),
    ("--budget-usd", "12.5", "--budget-period", "month", "--budget-timezone", "Europe/Berlin", "--alerts", "50,100"),
    ("--providers", "fake", "--endpoints", "chat,embeddings", "--ips", "127.0.0.1,10.0.0.0/8", "--expires", "90d"),
    ("--metadata", '{"team": "back, \\"end\\"", "n": [1, 2.5, null]}', "--models", "none"),
    ("--mcp", "--mcp-mode", "allow_list", "--mcp-servers", "github", "--mcp-tools", "github/search"),
)  # fmt: skip
CHANGING = {
    "id",
    "preview",
    "created_at",
    "last_used_at",
    "requests",
    "usage_percent",
    "spent_usd",
    "revision",
    "live_on",
}


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider) -> Iterator[RunningGateway]:
    with RunningGateway(provider_toml(provider.base_url, extra='models = ["chat"]')) as running:
        yield running


@pytest.fixture(scope="module")
def elsewhere(provider: FakeProvider) -> Iterator[RunningGateway]:
    """A gateway with another store and another pepper."""
    with RunningGateway(provider_toml(provider.base_url, extra='models = ["chat"]')) as running:
        yield running


def bare(gateway: RunningGateway) -> list[str]:
    """All keys without what a new key must have of its own."""
    listed = keys(gateway, "list")["data"]
    return sorted(
        json.dumps({name: value for name, value in key.items() if name not in CHANGING}, sort_keys=True)
        for key in listed
    )


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_round_trip_loses_nothing_but_the_secrets(
    gateway: RunningGateway, elsewhere: RunningGateway, form: str, tmp_path: Path
) -> None:
    made = [create(gateway, *flags) for flags in FLAGS]
    before = bare(gateway)
    file, secrets = tmp_path / f"keys.{form}", tmp_path / "secrets.csv"
    source, target = str(gateway.config_path), str(elsewhere.config_path)
    as_form = ("--json",) if form == "json" else ()
    exported = command("keys", "export", "-c", source, *as_form, "--output", str(file))
    assert exported.code == 0, exported.err
    assert not any(key.secret in file.read_text() for key in made)
    imported = command("keys", "import", str(file), "-c", target, "--secrets-out", str(secrets))
    assert (imported.code, imported.err) == (0, f"{len(FLAGS)} created, 0 skipped.\n")
    assert bare(elsewhere) == before
    assert secrets.stat().st_mode & 0o777 == 0o600
    cells = [cell for row in csv.reader(io.StringIO(secrets.read_text())) for cell in row]
    fresh = [cell for cell in cells if cell.startswith("gwk_")]
    assert len(fresh) == len(FLAGS) and not {key.secret for key in made} & set(fresh)
    for secret in fresh:
        wait_until_known(elsewhere, secret)
    assert all(elsewhere.fetch("/v1/key", secret=key.secret)[0] == 401 for key in made)
    again = keys(elsewhere, "import", str(file))
    assert (len(again["created"]), len(again["skipped"])) == (0, len(FLAGS))
    assert bare(elsewhere) == before
    for place in (gateway, elsewhere):
        for key in keys(place, "list")["data"]:
            keys(place, "delete", key["id"])
    gone = keys(elsewhere, "import", str(file))  # a deletion is final
    assert (len(gone["created"]), len(gone["skipped"])) == (0, len(FLAGS))


def wait_until_known(gateway: RunningGateway, secret: str) -> None:
    """Import does not wait for gateways; the key must work within a second."""
    started = time.monotonic()
    while gateway.fetch("/v1/key", secret=secret)[0] != 200:
        assert time.monotonic() - started < 1


def test_one_wrong_row_and_nothing_is_imported(gateway: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "keys.csv"
    file.write_text("name,requests_per_minute,budget_usd\ngood,5,1\nbad,many,1\nworse,5,-3\n")
    refused = command("keys", "import", str(file), "-c", str(gateway.config_path))
    assert refused.code == 1 and refused.out == ""
    assert "nothing was imported" in refused.err and refused.err.count("\n") == 1
    assert "requests_per_minute" in refused.err and "budget_usd" in refused.err
    assert keys(gateway, "list", "--search", "good")["data"] == []
