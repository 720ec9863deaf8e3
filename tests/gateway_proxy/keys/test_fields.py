"""Readers: what each field accepts, what it makes of it, and what it says about the rest."""

import pytest

from gateway_proxy.core.key import McpMode
from gateway_proxy.keys import fields
from gateway_proxy.keys.fields import Problems, choice_reader, list_reader


def accept(read, value):
    problems = Problems()
    result = read(value, "field", problems)
    assert problems.errors == []
    return result


def refuse(read, value) -> str:
    problems = Problems()
    read(value, "field", problems)
    assert len(problems.errors) == 1, problems.errors
    assert problems.errors[0].path.startswith("field")
    return problems.errors[0].message


def test_label_is_stripped_and_composed() -> None:
    assert accept(fields.read_label, "  Produktion e\u0301  ") == "Produktion \u00e9"
    assert accept(fields.read_label, "x" * 128) == "x" * 128


@pytest.mark.parametrize(
    "value", ["", "   ", "x" * 129, "a\nb", "a\x00", "\ud800", "a\u2028b", 5, None, True, ["a"]]
)
def test_label_refusals(value) -> None:
    refuse(fields.read_label, value)


@pytest.mark.parametrize("turn", ["\u061c", "\u200e", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069"])
def test_a_label_that_turns_the_direction_of_writing(turn: str) -> None:
    assert f"U+{ord(turn):04X}" in refuse(fields.read_label, f"admin{turn}nimda")


def test_a_label_of_another_script_or_with_joined_signs() -> None:
    for name in (
        "\u05e9\u05dc\u05d5\u05dd",
        "\u0645\u0641\u062a\u0627\u062d 1",
        "\U0001f469\u200d\U0001f4bb",
    ):
        assert accept(fields.read_label, name) == name


@pytest.mark.parametrize("value", ["ada@example.com", "local", "o'neil+x@sub.example"])
def test_owner(value: str) -> None:
    assert accept(fields.read_owner, value) == value


@pytest.mark.parametrize(
    "value", ["", "ada", "@x", "ada@", "a b@x", "a@x\n.y", "a" * 250 + "@xyz.de", 3, None]
)
def test_owner_refusals(value) -> None:
    assert "e-mail" in refuse(fields.read_owner, value)


@pytest.mark.parametrize("value", [0, 1, fields.MAX_COUNT])
def test_count(value: int) -> None:
    assert accept(fields.read_count, value) == value


@pytest.mark.parametrize("value", [-1, True, False, 1.0, "5", fields.MAX_COUNT + 1, 1 << 80, [], {}])
def test_count_refusals(value) -> None:
    refuse(fields.read_count, value)


@pytest.mark.parametrize(
    ("value", "nanos"), [("25.00", 25_000_000_000), (0, 0), ("0.000000001", 1), (3, 3_000_000_000), ("0", 0)]
)
def test_usd(value, nanos: int) -> None:
    assert accept(fields.read_usd, value) == nanos


@pytest.mark.parametrize(
    "value", [25.0, -1, "-1", "1.0000000001", "NaN", "inf", "", "ten", True, [], "9" * 40]
)
def test_usd_refusals(value) -> None:
    refuse(fields.read_usd, value)


def test_flag() -> None:
    assert accept(fields.read_flag, True) is True
    assert accept(fields.read_flag, False) is False
    for value in (0, 1, "true", [], {}):
        assert refuse(fields.read_flag, value) == "must be true or false"


def test_choice() -> None:
    read = choice_reader(McpMode)
    assert accept(read, "deny_list") is McpMode.DENY_LIST
    for value in ("DENY_LIST", "", 1, None, [], {"a": 1}):
        assert "allow_all, deny_all, allow_list, deny_list" in refuse(read, value)


@pytest.mark.parametrize("value", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_timezone(value: str) -> None:
    assert accept(fields.read_timezone, value) == value


@pytest.mark.parametrize(
    "value",
    [
        "Mars/Base",
        "Europe",
        "",
        "../etc/passwd",
        "/etc/localtime",
        "localtime",
        "right/UTC",
        "x" * 300,
        1,
        "a\x00b",
    ],
)
def test_timezone_refusals(value) -> None:
    assert "time zone" in refuse(fields.read_timezone, value)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("2030-01-01T00:00:00Z", 1_893_456_000_000),
        ("2030-01-01t00:00:00z", 1_893_456_000_000),
        ("2030-01-01 02:00:00+02:00", 1_893_456_000_000),
        ("2030-01-01T00:00:00.123999Z", 1_893_456_000_123),
        ("9999-12-31T23:59:59-23:59", 253_402_300_799_999),
    ],
)
def test_time(value: str, at: int) -> None:
    assert accept(fields.read_time, value) == at


@pytest.mark.parametrize(
    "value",
    [
        "2030-01-01",
        "20300101T000000Z",
        "2030-01-01T00:00:00",
        "2030-02-30T00:00:00Z",
        "2030-W01-1T00:00:00Z",
        "2030-01-01T00:00:60Z",
        "0000-01-01T00:00:00Z",
        "soon",
        1_893_456_000,
        None,
        "2030-01-01T00:00:00+99:00",
    ],
)
def test_time_refusals(value) -> None:
    assert "is not a time" in refuse(fields.read_time, value)


def test_thresholds_are_sorted_and_kept_once() -> None:
    assert accept(fields.read_thresholds, [100, 50, 80, 50]) == (50, 80, 100)
    assert accept(fields.read_thresholds, []) == ()


@pytest.mark.parametrize("value", [[0], [101], [True], [50.0], ["50"], "50", 50, {}])
def test_threshold_refusals(value) -> None:
    refuse(fields.read_thresholds, value)


def test_a_wrong_threshold_is_named_among_right_ones_with_what_is_allowed() -> None:
    message = refuse(fields.read_thresholds, [50, 101, 100])
    assert "101" in message and "between 1 and 100" in message and "50" not in message


def test_models() -> None:
    read = list_reader(fields.read_model)
    assert accept(read, ["gpt-4o", "claude-3.5-*", "*", "gpt-4o"]) == ("gpt-4o", "claude-3.5-*", "*")
    assert accept(read, ["cafe\u0301"]) == ("caf\u00e9",)
    assert accept(read, []) == ()


@pytest.mark.parametrize(
    "value", [["a*b"], ["**"], ["*a"], [""], ["a b"], ["a\tb"], ["x" * 129], [5], [None], "gpt", {}]
)
def test_model_refusals(value) -> None:
    refuse(list_reader(fields.read_model), value)


def test_every_bad_entry_of_a_list_is_named() -> None:
    problems = Problems()
    list_reader(fields.read_model)(["a", "b c", "d*e"], "allowed_models", problems)
    assert [error.path for error in problems.errors] == ["allowed_models[1]", "allowed_models[2]"]


def test_long_lists_are_refused_whole() -> None:
    assert "at most 1000" in refuse(list_reader(fields.read_model), ["m"] * 1001)


@pytest.mark.parametrize("value", ["OpenAI", "-a", "a_b", "a" * 33, "", "openai\n", 1, None])
def test_provider_refusals(value) -> None:
    assert accept(fields.read_provider, "open-ai2") == "open-ai2"
    refuse(fields.read_provider, value)


def test_endpoints() -> None:
    assert accept(list_reader(fields.read_endpoint), list(fields.ENDPOINTS)) == fields.ENDPOINTS
    assert "chat, completions" in refuse(fields.read_endpoint, "chats")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("192.168.1.0/24", "192.168.1.0/24"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1/32", "10.0.0.1"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
    ],
)
def test_network(value: str, text: str) -> None:
    assert accept(fields.read_network, value) == text


@pytest.mark.parametrize(
    ("value", "correction"),
    [
        ("192.168.1.7/24", "192.168.1.0/24"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("::ffff:10.0.0.1/104", "10.0.0.0/8"),
    ],
)
def test_host_bits_are_refused_with_the_corrected_value(value: str, correction: str) -> None:
    assert refuse(fields.read_network, value).endswith(f"write {correction}")


@pytest.mark.parametrize(
    "value", ["", "10.0.0", "10.0.0.1/33", "fe80::1%eth0", "example.com", 167772161, None, "01.2.3.4"]
)
def test_network_refusals(value) -> None:
    assert "is not an address or CIDR" in refuse(fields.read_network, value)


def test_metadata_limit_counts_bytes() -> None:
    assert accept(fields.read_metadata, {"a": "x" * 4088}) == {"a": "x" * 4088}
    assert "4097 bytes" in refuse(fields.read_metadata, {"a": "x" * 4089})
    assert "at most 4096" in refuse(fields.read_metadata, {"a": "é" * 2045})


def nested(levels: int) -> dict:
    value: dict = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        [],
        "x",
        5,
        {"a": float("nan")},
        {"a": 1 << 70},
        {"a": "\ud800"},
        {"\ud800": 1},
        nested(40),
        nested(5000),
    ],
)
def test_metadata_refusals(value) -> None:
    refuse(fields.read_metadata, value)


def test_shown_never_repeats_what_may_be_a_secret() -> None:
    for value in ("gwk_" + "a" * 49, "x gwa_abc", "sk-abc", "Bearer abc", ["gwk_abc"]):
        assert fields.shown(value) == "the value"
    assert fields.shown("a\nb" * 50).endswith("…'")
    assert "\n" not in fields.shown("a\nb")
