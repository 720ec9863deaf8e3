"""Drafts: every rule at once, nothing half applied, `null` clears."""

import json
import random
from dataclasses import replace

import pytest

from gateway_proxy.core.key import BudgetPeriod, Key, McpMode, McpScope
from gateway_proxy.keys.draft import DAY_MS, DraftError, apply_creation, apply_patch, read_grace_seconds

NOW = 1_790_000_000_000
BLANK = Key(id="key_1", name="", organization="default", owner="local")

FULL = {
    "name": "Production API",
    "owner": "ada@example.com",
    "expires_in": "90d",
    "requests_per_minute": 600,
    "tokens_per_minute": 200000,
    "burst": None,
    "max_parallel_requests": 50,
    "budget_usd": "25.00",
    "budget_period": "total",
    "budget_timezone": "UTC",
    "alert_thresholds": [50, 80, 100],
    "allowed_providers": ["openai"],
    "allowed_models": ["gpt-4o", "claude-3.5-*"],
    "allowed_endpoints": None,
    "ip_allowlist": ["192.168.1.0/24", "10.0.0.1"],
    "metadata": {"team": "backend"},
    "strict": False,
    "shadow": False,
    "ephemeral": False,
    "mcp": {
        "enabled": True,
        "access_mode": "allow_list",
        "servers": ["github"],
        "tools": {"github": ["search_issues"]},
    },
}


def paths(document: object, key: Key | None = None) -> list[str]:
    with pytest.raises(DraftError) as caught:
        apply_creation(BLANK, document, NOW) if key is None else apply_patch(key, document, NOW)
    return [error.path for error in caught.value.errors]


def test_the_whole_document() -> None:
    assert apply_creation(BLANK, FULL, NOW) == replace(
        BLANK,
        name="Production API",
        owner="ada@example.com",
        expires_at=NOW + 90 * DAY_MS,
        requests_per_minute=600,
        tokens_per_minute=200000,
        max_parallel_requests=50,
        budget_nanos=25_000_000_000,
        alert_thresholds=(50, 80, 100),
        allowed_providers=("openai",),
        allowed_models=("gpt-4o", "claude-3.5-*"),
        ip_allowlist=("192.168.1.0/24", "10.0.0.1"),
        metadata={"team": "backend"},
        mcp=McpScope(True, McpMode.ALLOW_LIST, ("github",), {"github": ("search_issues",)}),
    )


def test_a_name_is_enough_and_required() -> None:
    assert apply_creation(BLANK, {"name": " a "}, NOW) == replace(BLANK, name="a")
    assert paths({}) == ["name"]
    assert paths({"name": None}) == ["name"]
    assert apply_patch(BLANK, {}, NOW) == BLANK


def test_zero_null_and_empty_are_three_things() -> None:
    key = apply_creation(
        BLANK, {"name": "a", "requests_per_minute": 0, "allowed_models": [], "budget_usd": 0}, NOW
    )
    assert (key.requests_per_minute, key.allowed_models, key.budget_nanos) == (0, (), 0)
    cleared = apply_patch(key, {"requests_per_minute": None, "allowed_models": None, "budget_usd": None}, NOW)
    assert (cleared.requests_per_minute, cleared.allowed_models, cleared.budget_nanos) == (None, None, None)


def test_null_clears_every_optional_member() -> None:
    key = apply_creation(BLANK, FULL, NOW)
    cleared = apply_patch(key, dict.fromkeys(FULL.keys() - {"name", "owner"}), NOW)
    assert cleared == replace(BLANK, name=key.name, owner=key.owner)


def test_every_mistake_is_reported_at_once() -> None:
    document = {
        "name": "",
        "owner": "ada",
        "requests_per_minute": 1.5,
        "budget_usd": 1.5,
        "allowed_models": ["a*b"],
        "ip_allowlist": ["10.0.0.1/8"],
        "mcp": {"enabled": 1, "server": [], "tools": {"GitHub": []}},
        "colour": "red",
        "strict": "yes",
    }
    assert paths(document) == [
        "name",
        "owner",
        "requests_per_minute",
        "budget_usd",
        "allowed_models[0]",
        "ip_allowlist[0]",
        "mcp.enabled",
        "mcp.server",
        "mcp.tools.GitHub",
        "colour",
        "strict",
    ]


@pytest.mark.parametrize("document", [None, [], "x", 5, True])
def test_only_an_object_is_a_draft(document) -> None:
    assert paths(document) == [""]


@pytest.mark.parametrize(
    "member", ["id", "status", "secret", "organization", "revision", "spent_usd", "Name", "a\nb", "x" * 500]
)
def test_unknown_members_are_refused(member: str) -> None:
    [path] = paths({"name": "a", member: 1})
    assert path.startswith(member[:1])
    assert len(path) <= 65
    assert "\n" not in path


class TestExpiry:
    @pytest.mark.parametrize(
        ("span", "days"), [("30d", 30), ("60d", 60), ("90d", 90), ("180d", 180), ("1y", 365)]
    )
    def test_spans_count_from_now(self, span: str, days: int) -> None:
        assert apply_creation(BLANK, {"name": "a", "expires_in": span}, NOW).expires_at == NOW + days * DAY_MS

    def test_never_and_null(self) -> None:
        key = replace(BLANK, name="a", expires_at=NOW + 1)
        for document in ({"expires_in": "never"}, {"expires_in": None}, {"expires_at": None}):
            assert apply_patch(key, document, NOW).expires_at is None
        assert apply_patch(key, {"strict": True}, NOW).expires_at == NOW + 1

    def test_a_moment(self) -> None:
        assert apply_patch(BLANK, {"expires_at": "2030-01-01T00:00:00Z"}, NOW).expires_at == 1_893_456_000_000
        document = {"expires_at": "2030-01-01T00:00:00Z", "expires_in": None}
        assert apply_patch(BLANK, document, NOW).expires_at == 1_893_456_000_000

    def test_the_past_is_refused_but_what_stands_may_be_sent_back(self) -> None:
        assert paths({"name": "a", "expires_at": "2020-01-01T00:00:00Z"}) == ["expires_at"]
        expired = replace(BLANK, name="a", expires_at=1_577_836_800_000)
        assert apply_patch(expired, {"expires_at": "2020-01-01T00:00:00Z"}, NOW) == expired
        assert paths({"expires_at": "2020-01-01T00:00:01Z"}, expired) == ["expires_at"]

    @pytest.mark.parametrize("span", ["2y", "", 30, "90 d", True, ["30d"], {}])
    def test_other_spans(self, span) -> None:
        assert paths({"name": "a", "expires_in": span}) == ["expires_in"]

    def test_both_is_one_too_many(self) -> None:
        assert paths({"name": "a", "expires_in": "30d", "expires_at": "2030-01-01T00:00:00Z"}) == [
            "expires_at"
        ]


class TestTokens:
    def test_a_token_ends_after_its_seconds(self) -> None:
        key = apply_creation(BLANK, {"name": "a", "ephemeral": True, "ttl_seconds": 60}, NOW)
        assert key.kind == "ephemeral" and key.expires_at == (NOW // 1000 + 60) * 1000
        assert (
            apply_creation(BLANK, {"name": "a", "ephemeral": True}, NOW).expires_at
            == (NOW // 1000 + 3600) * 1000
        )

    @pytest.mark.parametrize(
        ("document", "path"),
        [
            ({"ttl_seconds": 60}, "ttl_seconds"),
            ({"ephemeral": False, "ttl_seconds": 60}, "ttl_seconds"),
            ({"ephemeral": "yes"}, "ephemeral"),
            ({"ephemeral": 1}, "ephemeral"),
            ({"ephemeral": True, "expires_in": "30d"}, "expires_in"),
            ({"ephemeral": True, "expires_at": "2030-01-01T00:00:00Z"}, "expires_at"),
            *[
                ({"ephemeral": True, "ttl_seconds": ttl}, "ttl_seconds")
                for ttl in (0, -1, 86_401, 1.0, "60", True, [])
            ],
        ],
    )
    def test_other_tokens_are_refused(self, document, path) -> None:
        assert paths({"name": "a", **document}) == [path]

    def test_a_key_does_not_become_a_token(self) -> None:
        key = apply_creation(BLANK, {"name": "a"}, NOW)
        for patch in ({"ephemeral": True}, {"ttl_seconds": 60}):
            with pytest.raises(DraftError, match="is decided when a key is made"):
                apply_patch(key, patch, NOW)

    def test_their_absence_may_be_spelled_out(self) -> None:
        apply_creation(BLANK, {"name": "a", "ephemeral": False, "ttl_seconds": None}, NOW)


class TestMerge:
    def test_mcp_members_stand_alone(self) -> None:
        key = apply_creation(BLANK, FULL, NOW)
        assert apply_patch(key, {"mcp": {"enabled": False}}, NOW).mcp == replace(key.mcp, enabled=False)
        assert apply_patch(key, {"mcp": {"servers": None}}, NOW).mcp == replace(key.mcp, servers=())
        assert apply_patch(key, {"mcp": None}, NOW).mcp == McpScope()

    def test_tools_merge_by_server(self) -> None:
        key = apply_creation(BLANK, FULL, NOW)
        added = apply_patch(key, {"mcp": {"tools": {"jira": []}}}, NOW)
        assert added.mcp.tools == {"github": ("search_issues",), "jira": ()}
        assert apply_patch(added, {"mcp": {"tools": {"github": None}}}, NOW).mcp.tools == {"jira": ()}
        assert key.mcp.tools == {"github": ("search_issues",)}

    @pytest.mark.parametrize(
        "mcp", [[], "x", True, {"tools": []}, {"tools": {"a": "b"}}, {"tools": {"a": ["b c"]}}]
    )
    def test_malformed_mcp(self, mcp) -> None:
        [path] = paths({"name": "a", "mcp": mcp})
        assert path.startswith("mcp")

    def test_metadata_merges(self) -> None:
        key = replace(BLANK, name="a", metadata={"team": "x", "cost": {"centre": 1, "unit": "u"}})
        patched = apply_patch(key, {"metadata": {"team": None, "cost": {"centre": 2}}}, NOW)
        assert patched.metadata == {"cost": {"centre": 2, "unit": "u"}}
        assert key.metadata == {"team": "x", "cost": {"centre": 1, "unit": "u"}}

    def test_metadata_limit_holds_for_the_merged_whole(self) -> None:
        key = replace(BLANK, name="a", metadata={"a": "x" * 3000})
        assert paths({"metadata": {"b": "x" * 3000}}, key) == ["metadata"]

    def test_deep_metadata_is_refused_without_recursion_trouble(self) -> None:
        document = json.loads('{"a":' * 900 + "1" + "}" * 900)
        assert paths({"name": "a", "metadata": document}) == ["metadata"]


def test_periods() -> None:
    assert apply_patch(BLANK, {"budget_period": "week"}, NOW).budget_period is BudgetPeriod.WEEK
    assert paths({"budget_period": "year", "budget_timezone": "Mars"}, BLANK) == [
        "budget_period",
        "budget_timezone",
    ]


def test_grace_seconds() -> None:
    assert read_grace_seconds({}, 100) == 0
    assert read_grace_seconds({"grace_seconds": 100}, 100) == 100
    for document in (
        {"grace_seconds": 101},
        {"grace_seconds": -1},
        {"grace_seconds": True},
        {"x": 1},
        [],
        None,
    ):
        with pytest.raises(DraftError):
            read_grace_seconds(document, 100)


def test_arbitrary_json_gives_a_key_or_errors_and_nothing_else() -> None:
    source = random.Random(3)
    scalars = [
        None,
        True,
        False,
        0,
        1,
        -1,
        1.5,
        1 << 70,
        "",
        "a",
        "a b",
        "*",
        "\ud800",
        "gpt-4o",
        "10.0.0.1/8",
        "none",
    ]

    def value(depth: int) -> object:
        kind = source.random()
        if depth == 0 or kind < 0.6:
            return source.choice(scalars)
        if kind < 0.8:
            return [value(depth - 1) for _ in range(source.randrange(3))]
        return {
            str(source.choice(["a", "tools", "servers", "enabled", "github", 1])): value(depth - 1)
            for _ in range(2)
        }

    accepted = 0
    for _ in range(5000):
        document = {member: value(3) for member in source.sample(sorted(FULL), 3)}
        errors: list[dict[str, str]] = []
        try:
            apply_patch(BLANK, document, NOW)
            accepted += 1
        except DraftError as error:
            errors = error.to_json()
        assert all(item["message"].isprintable() for item in errors)
    assert 0 < accepted < 5000
