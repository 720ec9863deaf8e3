import re
from pathlib import Path

from dashboard.error_texts import TEXTS, explain_error

DATA_PLANE = (
    Path("docs/reference.md").read_text(encoding="utf-8").split("## Errors")[1].split("### The admin API")[0]
)


def test_every_documented_error_is_explained() -> None:
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", DATA_PLANE, re.MULTILINE))
    assert documented
    assert documented - set(TEXTS) == set()


def test_a_providers_own_answer_is_told_by_its_status() -> None:
    assert explain_error("", 200) == ("", "")
    assert "refused" in explain_error("", 422)[0]
    assert "error of its own" in explain_error("", 529)[0]
    assert explain_error("overloaded", 503) == TEXTS["overloaded"]
