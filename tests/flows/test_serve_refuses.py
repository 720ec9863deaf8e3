"""What `serve` refuses to start with: exit code 1, one clear line, and the store stays as it was, byte for byte."""

import hashlib
import logging
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.clients import closed_port
from tests.support.command_line import command
from tests.support.gateway import RunningGateway

REPOSITORY = Path(__file__).resolve().parents[2]


class Ended(NamedTuple):
    """How `serve` ended."""

    code: int
    err: str


def serve(folder: Path) -> Ended:
    """`serve` with the folder's config.toml, which must end by itself; in this process, for speed."""
    handlers, level = logging.root.handlers[:], logging.root.level
    printed = command("serve", "-c", str(folder / "config.toml"))
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    assert printed.out == "" and "Traceback" not in printed.err
    return Ended(printed.code, printed.err)


def serve_process(folder: Path) -> Ended:
    """The same as a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-m", "gateway_proxy", "serve", "-c", str(folder / "config.toml")],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert ended.stdout == "" and "Traceback" not in ended.stderr
    return Ended(ended.returncode, ended.stderr)


def settings(port: int, *, url: str = "sqlite:gateway.db", data_dir: str = "data", more: str = "") -> str:
    return (
        f'[server]\nlisten = "127.0.0.1:{port}"\n[storage]\nurl = "{url}"\ndata_dir = "{data_dir}"\n'
        f'[security]\npepper = "file:{data_dir}/pepper"\n{more}'
    )


def hashes(folder: Path) -> dict[str, str]:
    """Every file of a folder but the locks, with its content's hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal", "lock"))
    }


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with settings and a store that holds a key."""
    folder = tmp_path_factory.mktemp("standing")
    (folder / "config.toml").write_text(settings(closed_port()))
    made = command("keys", "create", "--name", "one", "-c", str(folder / "config.toml"))
    assert made.code == 0, made.err
    return folder


@pytest.fixture
def folder(standing: Path, tmp_path: Path) -> Path:
    """A copy of it for the test to break."""
    return shutil.copytree(standing, tmp_path / "copy")


def check_refused(folder: Path, *words: str) -> None:
    before = hashes(folder)
    ended = serve(folder)
    assert ended.code == 1, ended.err
    [line] = ended.err.strip().splitlines()
    for word in words:
        assert word in line, line
    assert hashes(folder) == before


def test_a_store_of_another_pepper(folder: Path) -> None:
    (folder / "data" / "pepper").write_text("another pepper that is long enough to be one\n")
    check_refused(folder, "pepper", "fingerprint", "restore the right one")
    (folder / "data" / "pepper").unlink()
    check_refused(folder, "pepper", "missing", "restore the file")


def test_a_store_of_a_newer_version(folder: Path) -> None:
    connection = sqlite3.connect(folder / "gateway.db")
    connection.execute("INSERT INTO schema_migrations VALUES (99, 'breaking_later', 'x', 0)")
    connection.commit()
    connection.close()
    check_refused(folder, "newer gateway-proxy (schema ", "nothing was changed")


def test_a_database_of_something_else(folder: Path) -> None:
    (folder / "gateway.db").unlink()
    connection = sqlite3.connect(folder / "gateway.db")
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.commit()
    connection.close()
    check_refused(folder, "belongs to something else")


def test_a_file_that_is_no_database(folder: Path) -> None:
    (folder / "gateway.db").write_bytes(b"not a database at all" * 500)
    check_refused(folder, "gateway.db")


def test_the_store_of_a_demo(folder: Path) -> None:
    connection = sqlite3.connect(folder / "gateway.db")
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE name = 'meta'")]
    assert tables == ["meta"]
    connection.execute("INSERT INTO meta VALUES ('demo', '1')")
    connection.commit()
    connection.close()
    check_refused(folder, "gateway.db is the store of a demo", "another one")
    (folder / "data" / "pepper").unlink()  # as where the settings are a production's
    check_refused(folder, "gateway.db is the store of a demo", "another one")


def test_a_port_that_is_taken(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (folder / "config.toml").write_text(settings(port))
        check_refused(folder, f"cannot listen on 127.0.0.1:{port}", "in use")


def test_settings_with_mistakes(folder: Path) -> None:
    before = hashes(folder)
    path = folder / "config.toml"
    path.write_text(settings(8080) + '[[providers]]\nname = "x"\ndialect = "klingon"\n[logs]\nrequests = 3\n')
    ended = serve_process(folder)
    lines = ended.err.strip().splitlines()
    assert ended.code == 1 and len(lines) >= 2
    assert all(line.startswith(f"{path}:") for line in lines)
    assert {**hashes(folder), "config.toml": ""} == {**before, "config.toml": ""}


def test_a_database_that_nobody_serves(folder: Path) -> None:
    (folder / "config.toml").write_text(settings(8080, url="postgresql://user:hunter2@127.0.0.1:1/x"))
    check_refused(folder, "the store postgresql://127.0.0.1/x cannot be reached")


def test_a_plugin_that_is_not_there(folder: Path) -> None:
    path = folder / "config.toml"
    path.write_text(settings(8080, more='[pipeline]\nstages = [{ use = "mine", before = "admission" }]\n'))
    check_refused(folder, "pipeline.stages[0].use", "mine")
    checked = command("check", "-c", str(path))
    assert (checked.code, checked.out) == (1, "") and '"mine"' in checked.err


def test_a_store_that_cannot_be_written(folder: Path) -> None:
    (folder / "file").write_text("no folder")
    (folder / "config.toml").write_text(settings(8080, url="sqlite:file/gateway.db"))
    check_refused(folder, "file")
    (folder / "config.toml").write_text(settings(8080, data_dir="file/data"))
    check_refused(folder, "file")


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with RunningGateway("") as gateway:
        yield gateway


def test_a_data_dir_that_another_gateway_uses(running: RunningGateway, folder: Path) -> None:
    (folder / "config.toml").write_text(settings(closed_port(), data_dir="other"))
    shutil.copytree(folder / "data", folder / "other")
    shutil.copy(running.data_dir / "gateway-id", folder / "other")
    (folder / "other" / "spool").symlink_to(running.data_dir / "spool")
    check_refused(folder, "spool", "another")
    assert running.readiness()["status"] == "ready"


def test_a_store_that_another_gateway_is_live_on(running: RunningGateway, folder: Path) -> None:
    text = settings(closed_port(), url=f"sqlite:{running.store_path}")
    (folder / "config.toml").write_text(text.replace("file:data/pepper", f"file:{running.data_dir}/pepper"))
    ended = serve(folder)
    [line] = ended.err.strip().splitlines()
    assert ended.code == 1 and "another gateway" in line and "is live on this store" in line
    assert running.readiness()["status"] == "ready"
    assert len(running.query("SELECT id FROM gateways")) == 1


def test_a_running_gateways_own_settings_a_second_time(running: RunningGateway) -> None:
    before = running.readiness()
    ended = serve_process(running.folder)
    assert ended.code == 1 and len(ended.err.strip().splitlines()) == 1, ended.err
    assert running.readiness()["gateway"] == before["gateway"]
    key = running.create_key()
    assert running.fetch("/v1/key", secret=key.secret)[0] == 200
