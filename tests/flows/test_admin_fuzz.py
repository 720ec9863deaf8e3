"""The running program against its own description: whatever is sent, it answers as the OpenAPI document says.

`GATEWAY_FUZZ_SEED` repeats a run, `GATEWAY_FUZZ_EXAMPLES` makes it longer.
"""

import os
from collections.abc import Callable, Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi import checks

from gateway_proxy.admin.api.openapi import describe
from gateway_proxy.admin.api.table import OPERATIONS
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml

SEED = int(os.environ.get("GATEWAY_FUZZ_SEED", "1"))
EXAMPLES = int(os.environ.get("GATEWAY_FUZZ_EXAMPLES", "8"))
TABLES = '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\n'
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.response_schema_conformance,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
]
FRONT = {(400, code) for code in ("invalid_header", "invalid_target", "invalid_request", "unexpected_body")}
load_all_checks()
schema = schemathesis.openapi.from_dict(describe(OPERATIONS))


@pytest.fixture(scope="module")
def target(
    run_gateway: Callable[..., RunningGateway], provider: FakeProvider
) -> Iterator[tuple[str, dict[str, str]]]:
    """The API's address, and a token that may everything."""
    gateway = run_gateway(provider_toml(provider.base_url) + TABLES)
    yield f"{gateway.admin_url}/api/v1", {"Authorization": f"Bearer {gateway.admin_token('owner')}"}
    assert "Traceback" not in gateway.log_text()


@schema.parametrize()
@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_it_answers_as_described(case: schemathesis.Case, target: tuple[str, dict[str, str]]) -> None:
    url, headers = target
    answer = case.call(base_url=url, headers=headers, timeout=20)
    if "x-gateway-error" in answer.headers:  # a head that is no HTTP never reaches the API
        assert (answer.status_code, answer.headers["x-gateway-error"][0]) in FRONT
        return
    assert answer.headers["cache-control"] == ["no-store"]
    case.validate_response(answer, checks=CHECKS)
