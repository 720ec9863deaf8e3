"""Import and export: a file in, new secrets out, twice is once."""

import asyncio
import csv
import json
import stat

import pytest

from gateway_proxy.keys.secret import looks_like_secret, mint
from gateway_proxy.storage import open_store

CSV = "external_id,name,requests_per_minute,allowed_models\n1,alpha,60,gpt-4o\n2,beta,,none\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "keys.csv"
    path.write_text(CSV)
    return path


def test_import_prints_new_secrets_and_can_be_repeated(cli, file) -> None:
    outcome = cli("keys", "import", str(file))
    assert outcome.code == 0
    rows = list(csv.DictReader(outcome.out.splitlines()))
    assert [(row["name"], looks_like_secret(row["secret"])) for row in rows] == [
        ("alpha", True),
        ("beta", True),
    ]
    assert "2 created, 0 skipped" in outcome.err
    shown = cli("keys", "list", "--json").json["data"]
    assert [(key["requests_per_minute"], key["allowed_models"]) for key in shown] == [
        (60, ["gpt-4o"]),
        (None, []),
    ]

    file.write_text(CSV + "3,gamma,,\n")
    again = cli("keys", "import", str(file), "--json").json
    assert [key["name"] for key in again["created"]] == ["gamma"]
    assert [row["place"] for row in again["skipped"]] == ["line 2", "line 3"]


def test_a_deleted_key_is_not_brought_back(cli, file) -> None:
    cli("keys", "import", str(file))
    cli("keys", "delete", "alpha")
    again = cli("keys", "import", str(file), "--json").json
    assert again["created"] == []
    assert again["skipped"][0]["reason"].endswith("was deleted")


def test_secrets_go_to_a_private_file(cli, file, tmp_path) -> None:
    outcome = cli("keys", "import", str(file), "--secrets-out", "secrets.csv")
    assert (outcome.code, outcome.out) == (0, "")
    path = tmp_path / "secrets.csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [row["name"] for row in csv.DictReader(path.read_text().splitlines())] == ["alpha", "beta"]
    file.write_text(CSV + "3,gamma,,\n")
    outcome = cli("keys", "import", str(file), "--secrets-out", "secrets.csv", "--json")
    assert "secret" not in outcome.json["created"][0]
    assert [row["name"] for row in csv.DictReader(path.read_text().splitlines())] == [
        "alpha",
        "beta",
        "gamma",
    ]


def test_a_secrets_file_that_others_can_read_is_refused(cli, file, tmp_path) -> None:
    path = tmp_path / "secrets.csv"
    path.write_text("")
    path.chmod(0o644)
    outcome = cli("keys", "import", str(file), "--secrets-out", str(path))
    assert outcome.code == 1
    assert "mode to 0600" in outcome.err
    assert cli("keys", "list", "--json").json["data"] == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("name,requests_per_minute\na,x\n,5\n", "line 2: requests_per_minute"),
        ("name,colour\na,red\n", "line 2: colour"),
        ("[{}]", "entry 1: name"),
        ("", "line 1"),
        ("[", "is not JSON"),
        (f"name,secret\na,{mint('gwk')}\n", "holds a secret"),
    ],
    ids=["number", "column", "entry", "empty", "json", "secret"],
)
def test_a_wrong_file_creates_nothing(cli, tmp_path, text, named) -> None:
    (tmp_path / "keys.txt").write_text(text)
    outcome = cli("keys", "import", "keys.txt")
    assert outcome.code == 1
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert named in outcome.err
    assert "gwk_" not in outcome.err
    assert cli("keys", "list", "--json").json["data"] == []


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "not text"])
def test_files_that_cannot_be_read(cli, tmp_path, content) -> None:
    if content is not None:
        (tmp_path / "keys.csv").write_bytes(content)
    outcome = cli("keys", "import", "keys.csv")
    assert outcome.code == 1
    assert outcome.err.startswith("gateway-proxy: keys.csv ")
    assert not (tmp_path / "gateway.db").exists()


def test_an_export_moves_to_another_store(cli, file, tmp_path) -> None:
    cli("keys", "import", str(file))
    cli("keys", "deactivate", "beta")
    exported = cli("keys", "export").out
    as_json = cli("keys", "export", "--json").out
    assert "gwk_" not in exported + as_json
    assert cli("keys", "export", "--output", "out.csv").code == 0
    assert (tmp_path / "out.csv").read_text() == exported
    for number, text in enumerate((exported, as_json)):
        (tmp_path / "moved").write_text(text)
        (tmp_path / "other.toml").write_text(
            f'[storage]\nurl = "sqlite:other{number}.db"\ndata_dir = "o{number}"\n'
            f'[security]\npepper = "file:o{number}/pepper"\n'
        )
        assert cli("keys", "import", "moved", "-c", "other.toml").code == 0
        assert cli("keys", "export", "-c", "other.toml").out == exported


def test_ended_keys_stay_behind(cli, file, tmp_path) -> None:
    cli("keys", "import", str(file))
    cli("keys", "revoke", "alpha")
    (tmp_path / "moved.json").write_text(cli("keys", "export", "--json").out)
    (tmp_path / "other.toml").write_text(
        '[storage]\nurl = "sqlite:o.db"\ndata_dir = "o"\n[security]\npepper = "file:o/pepper"\n'
    )
    moved = cli("keys", "import", "moved.json", "-c", "other.toml", "--json").json
    assert [key["name"] for key in moved["created"]] == ["beta"]
    assert moved["skipped"][0]["reason"] == "it is revoked"
    assert json.dumps(moved).count("gwk_") == 1


def test_an_owner_who_is_no_member_stops_the_whole_import(cli, file, tmp_path) -> None:
    async def add() -> None:
        store = await open_store(f"sqlite:{tmp_path}/gateway.db", migrate=True)
        await store.registry.add_member("default", "ada@example.com")
        await store.close()

    asyncio.run(add())
    file.write_text("name,owner\nalpha,ada@example.com\nbeta,eve@example.com\n")
    outcome = cli("keys", "import", str(file))
    assert (outcome.code, outcome.out) == (1, "")
    assert "line 3: eve@example.com is not a member" in outcome.err
    assert cli("keys", "list").out == "No keys.\n"


def test_tokens_are_not_exported(cli) -> None:
    cli("keys", "create", "--name", "alpha")
    cli("keys", "ephemeral", "alpha")
    assert cli("keys", "export").out.count("alpha") == 1
