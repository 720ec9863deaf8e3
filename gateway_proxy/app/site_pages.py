"""What the gateway itself answers in place of its admin process."""

import orjson
from multidict import MultiMapping

from gateway_proxy.proxy.answers import Answer, header_line

RETRY_SECONDS = 2
_PAGE = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="{retry}"><title>Not available now</title>
<style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 system-ui,sans-serif;margin:4rem auto;max-width:36rem;\
padding:0 1rem}}</style>
<h1>The dashboard is not available now</h1>
<p>The gateway itself works, but {why}. This page tries again every {retry} seconds; the gateway's log tells more.</p>
</html>
"""


def accepts_html(headers: MultiMapping[str]) -> bool:
    """Whether a browser asks, going by what it accepts."""
    return "text/html" in headers.get("Accept", "")


def answer_down(headers: MultiMapping[str], why: str) -> Answer:
    """503 as a page or as a problem document (RFC 9457). `why` completes "but …"."""
    common = f"cache-control: no-store\r\nretry-after: {RETRY_SECONDS}\r\n"
    if accepts_html(headers):
        policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        page = _PAGE.format(retry=RETRY_SECONDS, why=why).encode()
        lines = f"{common}content-type: text/html; charset=utf-8\r\ncontent-security-policy: {policy}\r\n"
        return Answer(503, lines, page)
    problem = {
        "type": "about:blank",
        "title": "Not available now",
        "status": 503,
        "code": "admin_unavailable",
        "detail": f"The gateway itself works, but {why}. Try again in {RETRY_SECONDS} seconds.",
    }
    return Answer(503, f"{common}content-type: application/problem+json\r\n", orjson.dumps(problem))


def answer_moved(path: str) -> Answer:
    """To a page of this server."""
    return Answer(303, f"{header_line('location', path)}cache-control: no-store\r\n", b"")
