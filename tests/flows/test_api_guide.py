"""docs/api.md: its examples work as they stand against a running gateway, and it lists every operation."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from typing import Any

from gateway_proxy.admin.api.table import OPERATIONS
from tests.habits.sources import ROOT
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml

GUIDE = (ROOT / "docs/api.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```sh\n(.*?)^# (\d{3})(.*?)$\n```", GUIDE, re.MULTILINE | re.DOTALL)


def run(example: str, environment: dict[str, str]) -> tuple[int, Any]:
    """Status and parsed body of the curl line."""
    line = example.strip().replace("curl ", "curl -sS -w '\\n%{http_code}' ", 1)
    done = subprocess.run(
        ["/bin/bash", "-c", line],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body) if body else None


def named_members(shown: str) -> set[str]:
    """The members that the guide shows at the top of an answer."""
    depth, members = 0, set()
    for part in re.findall(r'"\w+":|[{}\[\]]', shown):
        if part in "{[":
            depth += 1
        elif part in "}]":
            depth -= 1
        elif depth == 1:
            members.add(part[1:-2])
    return members


def test_the_examples_work_as_they_stand(
    run_gateway: Callable[..., RunningGateway], provider: FakeProvider
) -> None:
    assert len(EXAMPLES) == GUIDE.count("```sh") == 10
    gateway = run_gateway(provider_toml(provider.base_url))
    environment = {"URL": gateway.admin_url, "TOKEN": gateway.admin_token("admin")}
    for example, status, shown in EXAMPLES:
        told, body = run(example, environment)
        assert told == int(status), (example, body)
        assert named_members(shown) <= set(body or {}), example
        if told == 201 and "KEY" not in environment:
            environment["KEY"] = body["key"]["id"]


def test_it_lists_every_operation_and_no_other() -> None:
    table = GUIDE.partition("## Operations")[2]
    listed = re.findall(r"`((?:GET|POST|PATCH|DELETE) /[^`]*)`", table)
    assert sorted(listed) == sorted(f"{operation.method} {operation.path}" for operation in OPERATIONS)
