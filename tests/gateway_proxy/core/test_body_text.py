"""What of a body stands in the log."""

import base64
import json
import mmap
import random
import time
from pathlib import Path

import pytest

from gateway_proxy.core.body_text import MAX_BYTES, hold, note_binary, write_body
from gateway_proxy.core.redaction import MASK

PICTURE = base64.b64encode(random.Random(1).randbytes(300_000)).decode()


def keep(body: bytes, content_type: str = "application/json") -> str:
    return write_body(hold(body, content_type))


def test_a_body_stands_as_it_came_but_for_secrets() -> None:
    body = '{"model": "m",  "messages": [{"content": "Grüße"}], "max_tokens": 5, "api_key": "x"}'
    assert keep(body.encode()) == body.replace('"x"', f'"{MASK}"')
    assert keep(b"") == ""


@pytest.mark.parametrize("before", ["", "data:image/png;base64,"])
@pytest.mark.parametrize("after", ["", ")"])
def test_a_picture_is_a_note_and_the_words_behind_it_stay(before: str, after: str) -> None:
    said = {"image": before + PICTURE + after, "text": "what is this?"}
    kept = json.loads(keep(json.dumps(said).encode()))
    assert kept == {"image": f"{before}[{len(PICTURE) * 3 // 4} bytes]{after}", "text": "what is this?"}


def test_short_and_foreign_words_are_no_pictures() -> None:
    body = json.dumps(
        {"text": "你好" * 5000, "word": "x" * 1000, "vector": [0.25] * 3000}, ensure_ascii=False
    )
    assert keep(body.encode()) == body


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 3 * MAX_BYTES, 40 * MAX_BYTES])
def test_what_is_long_is_cut_and_says_so(size: int) -> None:
    body = ("words and " * (size // 10 + 1))[:size].encode()
    kept = keep(body)
    assert kept == f"{body[:MAX_BYTES].decode()}… [cut: {size:,} bytes]"
    assert len(keep(b"x" * size)) < MAX_BYTES


def test_hostile_bytes_become_text_that_every_database_takes() -> None:
    assert keep(b'{"a": "\0 \xff \xed\xa0\x80"}') == '{"a": "\u2400 \ufffd \ufffd\ufffd\ufffd"}'
    assert "\0" not in keep(bytes(range(256)) * 300)


def test_a_form_on_disk_reads_like_bytes(tmp_path: Path) -> None:
    path = tmp_path / "form"
    path.write_bytes(b'{"a": 1} ' * 20_000)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body:
        assert write_body(hold(body, "")).endswith("… [cut: 180,000 bytes]")


@pytest.mark.parametrize(
    "content_type", ["audio/mpeg", "multipart/form-data; boundary=x", "image/png", "application/octet-stream"]
)
def test_what_is_no_text_is_a_note_of_type_and_size(content_type: str) -> None:
    assert keep(b"\x01" * 12_345, content_type) == f"[{content_type.partition(';')[0]}, 12,345 bytes]"


def test_a_type_is_no_way_in() -> None:
    assert note_binary("\r\n<script>", 1) == "[binary, 1 bytes]"


@pytest.mark.parametrize(
    "piece", [b"a ", b"a" * 1023 + b" ", b"a" * 1024 + b".", b"a" * 1024 + b'"', b"=", b'"']
)
def test_no_body_takes_long(piece: bytes) -> None:
    began = time.process_time()
    keep(piece * (33_554_432 // len(piece)))
    assert time.process_time() - began < 5
