"""Browsers by the names that people know."""

import pytest

from dashboard.browsers import name_browser

KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (f"Mozilla/5.0 (X11; Linux x86_64) {KIT} Chrome/142.0.0.0 Safari/537.36", "Chrome on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0) {KIT} Chrome/142.0 Safari/537.36 Edg/142.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on macOS"),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {KIT} Version/26.1 Safari/605.1", "Safari on macOS"),
        (f"Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) {KIT} CriOS/142.0 Mobile Safari/604.1", "Chrome on iPhone"),
        (f"Mozilla/5.0 (Linux; Android 16) {KIT} Chrome/142.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 Firefox/145.0", "Firefox"),
        ("Mozilla/5.0 (compatible)", "Mozilla/5.0 (compatible)"),
        ("curl/8.17", "curl/8.17"),
        ("", "unknown"),
    ],
)  # fmt: skip
def test_names(user_agent: str, name: str) -> None:
    assert name_browser(user_agent) == name
