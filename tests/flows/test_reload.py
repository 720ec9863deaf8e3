"""New settings under load: however the file changes, they come into force; a bad file changes nothing and says why."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest

from tests.support.clients import HELLO, say, sdk
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway, provider_toml
from tests.support.waiting import wait_until

RELOAD_SECONDS = 5.0


def model_toml(name: str, provider: str = "fake") -> str:
    return f'[[models]]\nname = "{name}"\ntargets = [{{ provider = "{provider}", model = "fake-large" }}]\nretries = 0\n'


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider) -> Iterator[RunningGateway]:
    with RunningGateway(provider_toml(provider.base_url) + model_toml("chat")) as running:
        yield running


@pytest.fixture(scope="module")
def key(gateway: RunningGateway) -> CreatedKey:
    return gateway.create_key()


@pytest.fixture
def client(gateway: RunningGateway, key: CreatedKey) -> Iterator[openai.OpenAI]:
    with sdk(gateway, key.secret, max_retries=0) as made:
        yield made


def reloads_until(condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, RELOAD_SECONDS, f"{what}: not within {RELOAD_SECONDS} s")


def revision(gateway: RunningGateway) -> int:
    return int(gateway.readiness()["config"]["revision"])


def edit_in_place(path: Path, text: str) -> None:
    path.write_text(text)


def rename_over(path: Path, text: str) -> None:
    draft = path.with_name("draft.toml")
    draft.write_text(text)
    draft.replace(path)


def link_to_versions(path: Path, text: str) -> None:
    """The plain file becomes a link through `..data`."""
    swap_symlinks(path, text)
    path.unlink()
    path.symlink_to("..data/config.toml")


def swap_symlinks(path: Path, text: str) -> None:
    """As Kubernetes mounts a ConfigMap: the file is a link through `..data`, and that link is what is swapped."""
    version = path.parent / f"..{time.monotonic_ns()}"
    version.mkdir()
    (version / "config.toml").write_text(text)
    link = path.parent / "..data_new"
    link.symlink_to(version.name)
    link.replace(path.parent / "..data")


@pytest.mark.parametrize("change", [edit_in_place, rename_over, link_to_versions, swap_symlinks])
def test_a_changed_file_is_in_force_soon(
    gateway: RunningGateway, client: openai.OpenAI, change: Callable[[Path, str], None]
) -> None:
    before, name = revision(gateway), f"new-{time.monotonic_ns()}"
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model=name, messages=HELLO)
    change(gateway.config_path, gateway.config_path.read_text() + model_toml(name))
    reloads_until(lambda: revision(gateway) == before + 1, "the new revision")
    assert client.chat.completions.create(model=name, messages=HELLO).choices
    assert name in [model.id for model in client.models.list()]
    assert gateway.readiness()["config"]["reload_error"] is None


def test_sighup_reads_what_the_file_refers_to_again(
    gateway: RunningGateway, client: openai.OpenAI, provider: FakeProvider
) -> None:
    before, seen, credential = revision(gateway), len(provider.ledger()), gateway.folder / "provider.key"
    credential.write_text("not-the-providers-key")
    os.kill(gateway.pid, signal.SIGHUP)
    reloads_until(lambda: revision(gateway) == before + 1, "the new credential")
    with pytest.raises(openai.InternalServerError) as refused:
        client.chat.completions.create(model="chat", messages=HELLO)
    assert refused.value.code == "upstream_auth_failed"
    credential.write_text("fake-key")
    os.kill(gateway.pid, signal.SIGHUP)
    reloads_until(lambda: revision(gateway) == before + 2, "the old credential")
    os.kill(gateway.pid, signal.SIGHUP)
    os.kill(gateway.pid, signal.SIGUSR2)  # for gateways with workers: it ends nothing here
    reloads_until(lambda: "SIGUSR2" in gateway.log_text(), "the warning")
    assert client.chat.completions.create(model="chat", messages=HELLO).choices
    assert len(provider.settled_ledger()) == seen + 1
    assert revision(gateway) == before + 2  # nothing was changed, so it is no new one


def test_a_running_stream_finishes_on_the_revision_it_began_with(
    gateway: RunningGateway, client: openai.OpenAI, provider: FakeProvider
) -> None:
    standing = gateway.config_path.read_text()
    with FakeProvider() as other:
        stream = client.chat.completions.create(
            model="chat", messages=say("[[fake: tokens=150 delay_ms=10]]"), stream=True
        )
        with stream:
            texts = [next(stream).choices[0].delta.content or ""]
            before = revision(gateway)
            gateway.config_path.write_text(standing.replace(provider.base_url, other.base_url))
            reloads_until(lambda: revision(gateway) == before + 1, "the new base_url")
            client.chat.completions.create(model="chat", messages=HELLO)
            assert len(other.settled_ledger()) == 1
            texts += [chunk.choices[0].delta.content or "" for chunk in stream]
        assert "".join(texts) == "tok " * 150
        # The provider goes away altogether while a stream runs on it.
        stream = client.chat.completions.create(
            model="chat", messages=say("[[fake: tokens=150 delay_ms=10]]"), stream=True
        )
        with stream:
            texts = [next(stream).choices[0].delta.content or ""]
            head = standing.partition("[[providers]]")[0]
            gateway.config_path.write_text(
                head + provider_toml(provider.base_url, name="spare") + model_toml("spare", "spare")
            )
            reloads_until(lambda: revision(gateway) == before + 2, "the removal")
            with pytest.raises(openai.NotFoundError):
                client.chat.completions.create(model="chat", messages=HELLO)
            assert client.chat.completions.create(model="spare", messages=HELLO).choices
            texts += [chunk.choices[0].delta.content or "" for chunk in stream]
        assert "".join(texts) == "tok " * 150
        assert list(gateway.readiness()["providers"]) == ["spare"]
    gateway.config_path.write_text(standing)
    reloads_until(lambda: revision(gateway) == before + 3, "the old settings")
    assert client.chat.completions.create(model="chat", messages=HELLO).choices


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("[[[\n", "config.toml:"),
        ("[nonsense]\nx = 1\n", "nonsense"),
        (model_toml("chat"), '"chat" is already the name of models'),
        (model_toml("orphan", "nobody"), 'no provider is named "nobody"'),
    ],
)  # fmt: skip
def test_a_bad_file_changes_nothing_and_says_why(
    gateway: RunningGateway, client: openai.OpenAI, mistake: str, said: str
) -> None:
    before, standing, logged = revision(gateway), gateway.config_path.read_text(), len(gateway.log_text())
    gateway.config_path.write_text(standing + mistake)

    def complaint() -> str:
        return str(gateway.readiness()["config"]["reload_error"] or "")

    reloads_until(lambda: said in complaint(), "the complaint")
    reloads_until(lambda: said in gateway.log_text()[logged:], "the log line")
    assert "the new configuration is not used" in gateway.log_text()[logged:]
    assert revision(gateway) == before
    assert client.chat.completions.create(model="chat", messages=HELLO).choices
    os.kill(gateway.pid, signal.SIGHUP)
    gateway.config_path.write_text(standing)
    reloads_until(lambda: not complaint(), "the mended file")
    assert revision(gateway) == before and "Traceback" not in gateway.log_text()


def test_a_missing_file_is_no_change(gateway: RunningGateway, client: openai.OpenAI) -> None:
    standing, before = gateway.config_path.read_text(), revision(gateway)
    gateway.config_path.unlink()
    os.kill(gateway.pid, signal.SIGHUP)
    reloads_until(lambda: bool(gateway.readiness()["config"]["reload_error"]), "the complaint")
    assert client.chat.completions.create(model="chat", messages=HELLO).choices
    gateway.config_path.write_text(standing + model_toml("back"))
    reloads_until(lambda: revision(gateway) == before + 1, "the file that came back")


def test_what_needs_a_restart_is_told(gateway: RunningGateway) -> None:
    text, before = gateway.config_path.read_text(), revision(gateway)
    gateway.config_path.write_text(text.replace(f":{gateway.port}", ":1"))
    reloads_until(lambda: revision(gateway) == before + 1, "the new revision")
    assert "[server] listen was changed in the file; it takes effect at the next start" in gateway.log_text()
    assert gateway.readiness()["status"] == "ready"
