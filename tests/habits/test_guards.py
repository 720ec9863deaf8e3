"""The guards of tests/conftest.py guard: no socket leaves the machine, no test is skipped unnoticed."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import is_local
from tests.habits.sources import ROOT

_SKIPPING = {
    "a mark": "import pytest\n\n@pytest.mark.skip(reason='tired')\ndef test_it():\n    pass\n",
    "a call": "import pytest\n\ndef test_it():\n    pytest.skip('tired')\n",
    "a fixture": "import pytest\n\n@pytest.fixture\ndef it():\n    pytest.skip('tired')\n\ndef test_it(it):\n    pass\n",
    "a module": "import pytest\n\npytest.skip('tired', allow_module_level=True)\n",
}
_EXPECTED = "import pytest\n\n@pytest.mark.xfail(reason='known')\ndef test_it():\n    assert False\n"


@pytest.mark.parametrize(
    ("address", "local"),
    [
        (("127.0.0.1", 80), True),
        (("127.8.8.8", 80), True),
        (("::1", 80, 0, 0), True),
        (("localhost", 80), True),
        ("/run/some.sock", True),
        (("192.0.2.1", 80), False),
        (("0.0.0.0", 80), False),
        (("2001:db8::1", 80, 0, 0), False),
        (("example.com", 80), False),
    ],
)
def test_only_loopback_is_local(address: object, local: bool) -> None:
    assert is_local(address) is local


@pytest.mark.parametrize("way", ["connect", "connect_ex"])
def test_a_socket_cannot_leave_the_machine(way: str) -> None:
    with socket.socket() as outward, pytest.raises(pytest.fail.Exception, match="loopback only"):
        getattr(outward, way)(("192.0.2.1", 80))


def test_a_datagram_cannot_leave_the_machine() -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as outward,
        pytest.raises(pytest.fail.Exception, match="loopback only"),
    ):
        outward.sendto(b"x", ("192.0.2.1", 53))


def run_pytest(folder: Path, texts: dict[str, str], *, require_all: bool) -> subprocess.CompletedProcess[str]:
    for name, text in texts.items():
        (folder / f"test_{name.replace(' ', '_')}.py").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "--continue-on-collection-errors", "-c", "pyproject.toml", folder],
        cwd=ROOT, env=os.environ | {"GATEWAY_REQUIRE_ALL": str(int(require_all))},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_every_skip_fails_where_everything_is_required(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, _SKIPPING | {"expected": _EXPECTED}, require_all=True)
    assert done.returncode != 0
    ended = [line for line in done.stdout.splitlines() if "was skipped, and here nothing may be" in line]
    assert {name for name in _SKIPPING if any(name.replace(" ", "_") in line for line in ended)} == set(
        _SKIPPING
    )
    assert "expected" not in "".join(ended)


@pytest.mark.slow
def test_a_skip_is_a_skip_elsewhere(tmp_path: Path) -> None:
    texts = {name: text for name, text in _SKIPPING.items() if name != "a module"}
    done = run_pytest(tmp_path, texts, require_all=False)
    assert done.returncode == 0
    assert "3 skipped" in done.stdout
