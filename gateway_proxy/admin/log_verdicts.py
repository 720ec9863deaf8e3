"""What each rule said of a logged request, read back from how the request ended.

The log keeps one code; the rules before it let the request pass, those behind were not asked any more.
"""

from gateway_proxy.core.ledger import LogRow
from gateway_proxy.core.rules import RULES, find_rule

_SHADOWED = "The key was shadowed: the request passed all the same."
_NOT_REACHED = "An earlier rule had refused."
_NEVER_SHADOWED = ("status", "route")
_NOT_JUDGED = "The request ended before it was judged by this."


def list_verdicts(row: LogRow) -> list[dict[str, str]]:
    """`{"rule", "verdict", "code", "detail"}` of each built-in rule, in the order of the pipeline."""
    code = row.would_deny if row.admitted else row.error_code
    refusing = find_rule(code, 0 if row.admitted else row.status)
    if refusing:
        passed = {*RULES[: RULES.index(refusing)], *(_NEVER_SHADOWED if row.admitted else ())}
        why_not = _NOT_REACHED
    else:
        passed = set(RULES if row.admitted else RULES[:2] if row.key_id else ())
        why_not = _NOT_JUDGED
    verdicts = []
    for rule in RULES:
        if rule == refusing:
            verdicts.append(_verdict(rule, "deny", _SHADOWED if row.admitted else "", code))
        elif rule in passed:
            verdicts.append(_verdict(rule, "allow", "", ""))
        else:
            verdicts.append(_verdict(rule, "skip", why_not, ""))
    return verdicts


def _verdict(rule: str, verdict: str, detail: str, code: str) -> dict[str, str]:
    return {"rule": rule, "verdict": verdict, "code": code, "detail": detail}
