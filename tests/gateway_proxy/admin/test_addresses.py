import pytest

from gateway_proxy.admin.addresses import find_base_url, find_data_origin, host_checker, split_host
from gateway_proxy.config.model import Server


def server(**settings: object) -> Server:
    return Server.model_validate(settings)


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"listen": "0.0.0.0:80"}, "http://127.0.0.1:80"),
        ({"listen": "[::1]:9000"}, "http://[::1]:9000"),
        ({"admin_listen": "127.0.0.1:9090"}, "http://127.0.0.1:9090"),
        ({"public_url": "https://gateway.example/"}, "https://gateway.example"),
    ],
)
def test_links_begin_with(settings: dict[str, object], url: str) -> None:
    assert find_base_url(server(**settings)) == url


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        ("Gateway.Example:8080", ("gateway.example", "8080")), ("gateway.example.", ("gateway.example", "")),
        ("[::1]:80", ("::1", "80")), ("", ("", "")), ("a:b", ("", "")), ("a:99999", ("", "")), ("u@a", ("", "")),
        ("a/b", ("", "")), ("a\\b", ("", "")), ("a?b", ("", "")), ("a#b", ("", "")), ("[::1", ("", "")),
    ],
)  # fmt: skip
def test_a_host_header_is_taken_apart(header: str, parts: tuple[str, str]) -> None:
    assert split_host(header) == parts


@pytest.mark.parametrize(
    ("settings", "ours", "foreign"),
    [
        ({}, ["127.0.0.1:8080", "localhost", "LOCALHOST:9", "[::1]:8080"], ["evil.example", "10.0.0.1", "", "localhost.evil.example"]),
        ({"listen": "10.0.0.5:80"}, ["10.0.0.5", "localhost"], ["10.0.0.6", "evil.example"]),
        ({"listen": "0.0.0.0:80"}, ["10.0.0.5", "[2001:db8::1]:80", "localhost"], ["evil.example"]),
        ({"public_url": "https://gateway.example:8443"}, ["gateway.example:8443", "gateway.example", "localhost"], ["example"]),
        ({"allowed_hosts": ["gateway.example", "other.example:81"]}, ["gateway.example:5", "other.example:81"], ["localhost", "other.example", "other.example:82"]),
        ({"listen": "10.0.0.5:80", "admin_listen": "10.0.0.6:80"}, ["10.0.0.6"], ["10.0.0.7"]),
    ],
)  # fmt: skip
def test_which_hosts_are_ours(settings: dict[str, object], ours: list[str], foreign: list[str]) -> None:
    is_ours = host_checker(server(**settings))
    assert [host for host in ours if not is_ours(host)] == []
    assert [host for host in foreign if is_ours(host)] == []


@pytest.mark.parametrize(
    ("settings", "origin"),
    [
        ({"listen": "127.0.0.1:8080"}, ""),
        ({"listen": "127.0.0.1:8080", "admin_listen": "127.0.0.1:9090"}, "http://127.0.0.1:8080"),
        ({"listen": "0.0.0.0:8080", "admin_listen": "127.0.0.1:9090"}, "http://page.example.com:8080"),
        ({"listen": "[::1]:8080", "admin_listen": "127.0.0.1:9090"}, "http://[::1]:8080"),
    ],
)
def test_the_data_plane_has_an_origin_of_its_own_where_the_dashboard_listens_apart(
    settings: dict[str, str], origin: str
) -> None:
    assert find_data_origin(Server.model_validate(settings), "page.example.com") == origin
    assert find_data_origin(None, "page.example.com") == ""
