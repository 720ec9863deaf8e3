"""JSON as people read it, token by token: nothing but the blanks between tokens changes, and what was cut is laid out too."""

import re

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?$)|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)
_NOTE = re.compile(r"\[[\w.+/-]+, [\d,]+ bytes\]")
_DEEPEST = 24  # lines deeper than that would be blanks for the most part


def lay_out(text: str) -> str:
    """The text with a line for each member; what does not begin like a JSON object or array stays as it is."""
    if not text.lstrip().startswith(("{", "[")) or _NOTE.fullmatch(text):
        return text
    pieces: list[str] = []
    depth, before = 0, ""
    for token in _TOKEN.findall(text):
        if token in ("}", "]"):
            depth = max(0, depth - 1)
            if before not in ("{", "["):
                pieces.append(_line(depth))
        elif before in ("{", "[", ","):
            pieces.append(_line(depth))
        pieces.append(": " if token == ":" else token)
        if token in ("{", "["):
            depth += 1
        before = token
    return "".join(pieces)


def _line(depth: int) -> str:
    return "\n" + "  " * depth if depth <= _DEEPEST else " "
