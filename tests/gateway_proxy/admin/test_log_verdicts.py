"""The verdicts of a logged request, read back from its code."""

from typing import Any

import pytest

from gateway_proxy.admin.log_verdicts import list_verdicts
from gateway_proxy.core.ledger import LogRow
from gateway_proxy.core.rules import RULES


def words(**members: Any) -> str:
    """The first letter of each rule's verdict, in order."""
    row = LogRow(**{"request_id": "req_1", "at": 1, "gateway_id": "gtw_1", "key_id": "key_1", **members})
    verdicts = list_verdicts(row)
    assert [verdict["rule"] for verdict in verdicts] == list(RULES)
    return "".join(verdict["verdict"][0] for verdict in verdicts)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"admitted": True, "status": 200}, "aaaaaaaaa"),
        ({"admitted": True, "status": 503, "error_code": "upstream_unavailable"}, "aaaaaaaaa"),
        ({"status": 401, "error_code": "invalid_api_key", "key_id": ""}, "dssssssss"),
        ({"status": 401, "error_code": "key_revoked"}, "dssssssss"),
        ({"status": 403, "error_code": "ip_not_allowed"}, "adsssssss"),
        ({"status": 404, "error_code": "model_not_found"}, "aadssssss"),
        ({"status": 403, "error_code": "model_not_found"}, "aaaadssss"),
        ({"status": 429, "error_code": "rate_limit_exceeded"}, "aaaaaaads"),
        ({"status": 429, "error_code": "insufficient_quota"}, "aaaaaaaad"),
        ({"status": 400, "error_code": "invalid_json"}, "aasssssss"),
        ({"status": 404, "error_code": "route_not_found", "key_id": ""}, "sssssssss"),
        ({"status": 200}, "aasssssss"),  # answered by the gateway itself
        ({"admitted": True, "status": 200, "would_deny": "ip_not_allowed"}, "adassssss"),
        ({"admitted": True, "status": 200, "would_deny": "provider_not_allowed"}, "aaaaadsss"),
        ({"admitted": True, "status": 200, "would_deny": "model_not_found"}, "aaaadssss"),
    ],
)
def test_before_it_all_passed_and_behind_it_nothing_was_asked(members: dict[str, Any], expected: str) -> None:
    assert words(**members) == expected


def test_the_refusal_is_named() -> None:
    row = LogRow(
        request_id="req_1",
        at=1,
        gateway_id="g",
        key_id="key_1",
        admitted=True,
        would_deny="insufficient_quota",
    )
    verdict = list_verdicts(row)[-1]
    assert verdict["code"] == "insufficient_quota" and "shadowed" in verdict["detail"]
