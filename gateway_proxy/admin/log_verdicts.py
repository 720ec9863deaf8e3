"""What each rule said of a logged request, read back from how the request ended.

The log keeps one code; the rules before it let the request pass, those behind were not asked any more.
"""

from gateway_proxy.core.ledger import LogRow
from gateway_proxy.core.rules import RULES, find_rule

_SHADOWED = "The key was shadowed: the request passed all the same."
_NOT_REACHED = "Not judged any more."
_NOT_JUDGED = "The request ended before it was judged by this."


def list_verdicts(row: LogRow) -> list[dict[str, str]]:
    """`{"rule", "verdict", "code", "detail"}` of each built-in rule, in the order of the pipeline."""
    if row.admitted:
        code, detail = row.would_deny, _SHADOWED
        passed: tuple[str, ...] = RULES
    else:
        code, detail = row.error_code, ""
        passed = RULES[:2] if row.key_id else ()
    rule = find_rule(code, 0 if row.admitted else row.status)
    if not rule:
        return [
            _verdict(name, "allow") if name in passed else _verdict(name, "skip", _NOT_JUDGED)
            for name in RULES
        ]
    at = RULES.index(rule)
    return [
        *(_verdict(name, "allow") for name in RULES[:at]),
        {"rule": rule, "verdict": "deny", "code": code, "detail": detail},
        *(_verdict(name, "skip", _NOT_REACHED) for name in RULES[at + 1 :]),
    ]


def _verdict(rule: str, verdict: str, detail: str = "") -> dict[str, str]:
    return {"rule": rule, "verdict": verdict, "code": "", "detail": detail}
