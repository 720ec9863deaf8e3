"""Lines in any pieces, and long ones."""

import pytest

from gateway_proxy.proxy.mcp.lines import Lines, TooLong


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_lines_come_whole_whatever_the_pieces(size: int) -> None:
    data = b'{"a":1}\n\n  \r\n{"b":"\xc3\xa4"}\nrest'
    lines = Lines(50)
    found = [line for at in range(0, len(data), size) for line in lines.push(data[at : at + size])]
    assert found == [b'{"a":1}', b'{"b":"\xc3\xa4"}']
    assert lines.push(b"!\n") == [b"rest!"]


@pytest.mark.parametrize("size", [1, 7, 300, 5_000])
@pytest.mark.parametrize(
    ("line", "id"),
    [
        (b'{"jsonrpc":"2.0","id":17,"result":"' + b"x" * 2_000 + b'"}', 17),
        (b'{"result":"' + b"x" * 2_000 + b'","jsonrpc":"2.0","id": 18 }', 18),
        (b'{"result":"' + b"x" * 2_000 + b'"}', None),
    ],
)
def test_a_line_over_the_cap_is_thrown_away_but_for_its_id(line: bytes, id: int | None, size: int) -> None:
    lines = Lines(100)
    data = line + b"\nnext\n"
    found = [piece for at in range(0, len(data), size) for piece in lines.push(data[at : at + size])]
    assert found == [TooLong(id), b"next"]
