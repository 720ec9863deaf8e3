"""What each type of value accepts, and what it says about the rest."""

from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import ConfigDict, TypeAdapter, ValidationError

from gateway_proxy.config import values
from gateway_proxy.config.values import Address, LoadContext


def check(kind: Any, value: object, folder: Path = Path("/etc/gateway")) -> Any:
    return TypeAdapter(kind, config=ConfigDict(strict=True)).validate_python(
        value, context=LoadContext(folder, {})
    )


def refuse(kind: Any, value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        check(kind, value)
    return str(caught.value.errors()[0]["msg"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("[::1]:0", Address("::1", 0)),
        ("localhost:65535", Address("localhost", 65535)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert check(values.ListenAddress, text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        ":80",
        "::1:80",
        "[::1]",
        "[127.0.0.1]:80",
        "a:65536",
        "a:-1",
        "a: 1",
        "a:١",
        "300.1.1.1:80",
        "a b:1",
        8080,
    ],
)
def test_other_addresses_are_refused(text: object) -> None:
    assert "write" in refuse(values.ListenAddress, text)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.1", "10.0.0.1/32"),
        ("fd00::/8", "fd00::/8"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::1", "::1/128"),
    ],
)
def test_networks(text: str, network: str) -> None:
    assert check(values.Network, text) == ip_network(network)


def test_host_bits_are_refused_with_the_corrected_value() -> None:
    assert refuse(values.Network, "10.1.2.3/8").endswith("write 10.0.0.0/8")
    assert refuse(values.Network, "fd00::1/64").endswith("write fd00::/64")


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "10.0.0.0/255.0.0.0", "fe80::1%eth0", "x", 5, "10.0.0"])
def test_other_networks_are_refused(text: object) -> None:
    assert "write" in refuse(values.Network, text)


@pytest.mark.parametrize("name", ["gpt-4o", "meta/llama:8b", "é", "x" * 128])
def test_names(name: str) -> None:
    assert check(values.Name, name) == name


@pytest.mark.parametrize("name", ["", "x" * 129, "a b", "a\u00a0b", "a\n", "a\u200b", "e\u0301", "\ud800"])
def test_other_names_are_refused(name: str) -> None:
    refuse(values.Name, name)


def test_names_out_of_normal_form_are_refused_with_the_corrected_value() -> None:
    assert 'write "\u00e9"' in refuse(values.Name, "e\u0301")


def test_server_names() -> None:
    assert check(values.ServerName, "x-ai") == "x-ai"
    for name in ("", "-a", "A", "a_b", "a" * 33, "a\n"):
        refuse(values.ServerName, name)


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        (0, "0"),
        (2.50, "2.5"),
        (0.1, "0.1"),
        (1e-07, "0.0000001"),
        ("10.000", "10.000"),
        (-0.0, "0"),
        (1_000_000, "1000000"),
        (Decimal("1E+2"), "100"),
    ],
)
def test_usd_is_what_was_written(written: object, amount: str) -> None:
    assert check(values.Usd, written) == Decimal(amount)
    assert not check(values.Usd, written).is_signed()


@pytest.mark.parametrize(
    "written",
    [
        -1,
        -0.5,
        float("nan"),
        float("inf"),
        "",
        "1e3",
        "1_0",
        "١",
        "-1",
        "0x1",
        True,
        None,
        [1],
        1000001,
        1e300,
        "0.0000000001",
        1e-10,
        "1\n",
        "9" * 5000,
    ],
)
def test_other_amounts_are_refused(written: object) -> None:
    assert refuse(values.Usd, written)


def test_base_urls_lose_their_last_slash() -> None:
    assert check(values.BaseUrl, "https://api.example.com/v1/") == "https://api.example.com/v1"
    assert check(values.BaseUrl, "http://[::1]:8000") == "http://[::1]:8000"


@pytest.mark.parametrize(
    "text",
    [
        "api.example.com",
        "ftp://a",
        "https://",
        "https://a?",
        "https://a#",
        "https://canary:canary@a/",
        "https://a:0",
        "https://a:x",
        "https://a b",
        "https://a\n",
        "https://[::1",
        "https://é.example",
        "https://@a",
    ],
)
def test_other_base_urls_are_refused_without_repeating_them(text: str) -> None:
    assert "canary" not in refuse(values.BaseUrl, text)


def test_web_urls_may_have_a_query() -> None:
    assert check(values.WebUrl, "https://a/mcp?x=1") == "https://a/mcp?x=1"
    refuse(values.WebUrl, "https://a/#x")
    refuse(values.WebUrl, "")


def test_origins() -> None:
    assert check(values.Origin, "https://App.example.com:8443") == "https://app.example.com:8443"
    assert check(values.Origin, "*") == "*"
    for text in ("https://a/", "a.example.com", "https://a?x", "null"):
        refuse(values.Origin, text)


def test_hosts() -> None:
    for text in ("gateway.example.com", "localhost:8080", "[::1]:80", "[::1]", "10.0.0.1"):
        assert check(values.Host, text) == text
    for text in ("", "::1", "https://a", "a b", "a:b", "[a]", "10.0.0.300"):
        refuse(values.Host, text)


def test_paths_start_at_the_folder(tmp_path: Path) -> None:
    assert check(values.FolderPath, "data", tmp_path) == tmp_path / "data"
    assert check(values.FolderPath, "/data", tmp_path) == Path("/data")
    refuse(values.FolderPath, "")
    refuse(values.FolderPath, "a\0")


def test_files_must_exist(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").touch()
    assert check(values.OptionalFile, "cert.pem", tmp_path) == tmp_path / "cert.pem"
    assert check(values.OptionalFile, "", tmp_path) is None
    assert "does not exist" in refuse(values.OptionalFile, "nothing.pem")


def test_lists_stay_strict_inside() -> None:
    assert check(values.Items[int], [1, 2]) == (1, 2)
    refuse(values.Items[int], ["1"])
    refuse(values.Items[int], "12")
    refuse(values.AtLeastOne[int], [])


def test_event_patterns() -> None:
    for text in ("*", "budget.*", "budget.exceeded", "key.*", "provider.up", "notification.test"):
        assert check(values.EventPattern, text) == text
    for text in ("", "budget.", "b*", "*.x", "Budget", "budget", "budget.exceded", "key.minted"):
        refuse(values.EventPattern, text)


def test_seconds_are_positive_and_finite() -> None:
    assert check(values.Seconds, 5) == 5.0
    for number in (0, -1, float("inf"), float("nan"), "5", True):
        refuse(values.Seconds, number)


def test_commands_begin_with_a_program() -> None:
    assert check(values.Command, ["npx", ""]) == ("npx", "")
    assert check(values.Command, []) == ()
    for command in ([""], ["a\0"], "npx"):
        refuse(values.Command, command)
