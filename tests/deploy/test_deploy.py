"""The files in deploy/ are what their programs take: linted, validated, and true of this version.

Programs that a machine may lack (nginx, HAProxy, systemd) check their own file where they are installed; what matters
of it is asserted everywhere.
"""

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gateway_proxy.config import Config, load_config

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SECRETS = {
    "GATEWAY_STORE_URL": "postgresql://gateway:x@postgres/gateway",
    "GATEWAY_REDIS_URL": "redis://valkey:6379/0",
    "GATEWAY_PEPPER": "x" * 64,
    "OPENAI_API_KEY": "sk-x",
}
pytestmark = pytest.mark.slow


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def load_settings(path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return load_config(path)


# Docker


def test_the_dockerfile_is_clean() -> None:
    run(str(Path(sys.executable).with_name("hadolint")), str(DEPLOY / "docker/Dockerfile"))


def test_the_image_holds_locked_packages_and_is_nobody() -> None:
    text = (DEPLOY / "docker/Dockerfile").read_text().replace("\\\n", " ")
    last = text.rpartition("\nFROM ")[2]
    assert "pip install" in text and "--require-hashes" in text
    assert "pip" not in last
    assert re.search(r"^USER 10001", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    ignored = (ROOT / ".dockerignore").read_text()
    for source in re.findall(r"^COPY (?!--from)(\S+)", text, re.MULTILINE):
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored.splitlines()


def test_compose_names_only_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = DEPLOY / "docker"
    compose = yaml.safe_load((folder / "compose.yaml").read_text())
    assert {key for key in compose if not key.startswith("x-")} == {"name", "services", "networks", "volumes"}
    services: dict[str, dict[str, Any]] = compose["services"]
    for service in services.values():
        assert set(service["networks"]) <= set(compose["networks"])
        assert set(service.get("depends_on", {})) <= set(services)
        assert all(
            services[name].get("healthcheck") or "build" in services[name]
            for name, how in service.get("depends_on", {}).items()
            if how["condition"] == "service_healthy"
        )
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (folder / source).exists() if source.startswith(".") else source in compose["volumes"]
    gateways = [services[name] for name in services if name.startswith("gateway-")]
    assert len(gateways) == 2
    assert {name.partition(":")[0] for gateway in gateways for name in gateway["volumes"][1:]} == {
        "gateway-1",
        "gateway-2",
    }
    settings = load_settings(folder / "config.toml", monkeypatch)
    for gateway in gateways:
        assert gateway["read_only"] and gateway["cap_drop"] == ["ALL"]
        assert float(gateway["stop_grace_period"].rstrip("s")) > settings.server.drain_seconds + 5
    subnet = compose["networks"]["inside"]["ipam"]["config"][0]["subnet"]
    assert [str(network) for network in settings.server.trusted_proxies] == [subnet]


# Kubernetes


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()))


@pytest.mark.parametrize("name", ["gateway-proxy.yaml", "autoscaler.yaml"])
def test_the_manifests_are_valid(name: str) -> None:
    for document in documents(name):
        for version in ("1.29", kubernetes_validate.latest_version()):
            kubernetes_validate.validate(document, version, strict=True)


def test_the_manifests_fit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_kind = {
        document["kind"]: document
        for document in documents("autoscaler.yaml") + documents("gateway-proxy.yaml")
    }
    (tmp_path / "config.toml").write_text(by_kind["ConfigMap"]["data"]["config.toml"])
    settings = load_settings(tmp_path / "config.toml", monkeypatch)
    stateful = by_kind["StatefulSet"]
    pod = stateful["spec"]["template"]["spec"]
    [container] = pod["containers"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= pause + settings.server.drain_seconds + 10
    assert {entry["name"] for entry in container["env"]} == set(SECRETS)
    assert all("secretKeyRef" in entry["valueFrom"] for entry in container["env"])
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["securityContext"]["readOnlyRootFilesystem"]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert any(settings.storage.data_dir.is_relative_to(mount) for mount in mounts)
    assert (
        by_kind["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == stateful["metadata"]["name"]
    )
    labels = stateful["spec"]["template"]["metadata"]["labels"]
    assert by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert stateful["spec"]["serviceName"] == by_kind["Service"]["metadata"]["name"]


# systemd, nginx, HAProxy


def read_unit(name: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "systemd" / name)
    return unit


def test_the_units(tmp_path: Path) -> None:
    service = read_unit("gateway-proxy.service")["Service"]
    assert service["Type"] == "notify"
    assert float(service["TimeoutStopSec"]) > Config.model_validate({}).server.drain_seconds + 5
    assert service["NoNewPrivileges"] == "yes" and not service["CapabilityBoundingSet"]
    assert read_unit("gateway-proxy.socket")["Socket"]["ListenStream"] == "127.0.0.1:8080"
    if shutil.which("systemd-analyze") is None:
        return
    for name in ("gateway-proxy.service", "gateway-proxy.socket"):
        text = (DEPLOY / "systemd" / name).read_text()
        # As if it were installed: the paths of the programs are looked for.
        (tmp_path / name).write_text(
            re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", text, flags=re.MULTILINE)
        )
    environment = {**os.environ, "SYSTEMD_LOG_LEVEL": "warning"}
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(path) for path in sorted(tmp_path.iterdir()))],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert "gateway-proxy" not in done.stderr, done.stderr


def test_nginx_hands_streams_on_as_they_come(tmp_path: Path) -> None:
    text = (DEPLOY / "nginx/gateway-proxy.conf").read_text()
    for line in ("proxy_buffering off;", 'proxy_set_header Connection "";', "proxy_http_version 1.1;"):
        assert line in text
    assert not re.search(r"^\s*proxy_next_upstream .*non_idempotent", text, re.MULTILINE)
    if shutil.which("nginx") is not None:
        whole = tmp_path / "nginx.conf"
        whole.write_text(
            f"pid {tmp_path}/pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off; include {DEPLOY}/nginx/gateway-proxy.conf; }}\n"
        )
        assert "test is successful" in run("nginx", "-t", "-c", str(whole), "-p", str(tmp_path))


def test_haproxy_repeats_only_what_was_never_sent(tmp_path: Path) -> None:
    text = (DEPLOY / "haproxy/haproxy.cfg").read_text()
    assert re.findall(r"^\s*retry-on (.*)$", text, re.MULTILINE) == ["conn-failure"]
    services = yaml.safe_load((DEPLOY / "docker/compose.yaml").read_text())["services"]
    for name, host in re.findall(r"^\s*server (\S+) (\S+):8080$", text, re.MULTILINE):
        assert name == host and host in services
    if shutil.which("haproxy") is not None:
        run("haproxy", "-c", "-q", "-f", str(DEPLOY / "haproxy/haproxy.cfg"))
