"""Reads and writes multipart/form-data (RFC 7578), so strictly that nobody can read it differently.

Promises: at most `MAX_PARTS` parts with plain names, repeated names only as `name[]`, no transfer encodings;
what leaves is written anew with a boundary of ours. The size of the whole is the reader's to bound.
"""

import re
import secrets
from dataclasses import dataclass
from mmap import mmap

from gateway_proxy.core.dialect import Payload
from gateway_proxy.core.errors import BadExchange

MAX_PARTS = 128
MAX_HEADER_BYTES = 4096

# RFC 2046, section 5.1.1; a blank may be inside but not at the end.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_PARAMETER = re.compile(r';[ \t]*([a-zA-Z*]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))[ \t]*')
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:[ \t]*;[ \t]*[\w.+-]+=(?:[\w.+-]+|\"[\w .+,-]*\"))*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """One field, or one file if `filename` is set."""

    name: str
    value: bytes | memoryview
    filename: str | None = None
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class MultipartForm:
    """All parts, in their order."""

    parts: tuple[Part, ...]

    def read_text(self, name: str) -> str | None:
        """The value of a field that stands at most once. Raises BadExchange."""
        found = [part for part in self.parts if part.name == name]
        if not found:
            return None
        if found[0].filename is not None:
            raise _refuse(f"Field {name!r} must not be a file.", name)
        try:
            return bytes(found[0].value).decode()
        except UnicodeDecodeError:
            raise _refuse(f"Field {name!r} is not UTF-8.", name) from None

    def read_flag(self, name: str) -> bool:
        """`true` or `false`; absent is False. Raises BadExchange."""
        value = self.read_text(name)
        if value in (None, "", "false", "False"):
            return False
        if value in ("true", "True"):
            return True
        raise _refuse(f"Field {name!r} must be 'true' or 'false'.", name)

    def read_count(self, name: str, lowest: int, highest: int) -> int | None:
        """An integer within bounds. Raises BadExchange."""
        value = self.read_text(name)
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII) or not lowest <= int(value) <= highest:
            raise _refuse(f"Field {name!r} must be an integer from {lowest} to {highest}.", name)
        return int(value)

    def text_bytes(self) -> int:
        """Bytes of all fields that are not files."""
        return sum(len(part.value) for part in self.parts if part.filename is None)


def parse_form(body: bytes | mmap, content_type: str) -> MultipartForm:
    """The form; files of a mapped body stay where they are. Raises BadExchange (invalid_type)."""
    delimiter = b"\r\n--" + _read_boundary(content_type)
    spans: list[tuple[int, int]] = []
    # The first delimiter lacks the line end when no preamble stands before it.
    at = len(delimiter) - 2 if body[: len(delimiter) - 2] == delimiter[2:] else -1
    while at >= 0 and (end := body.find(delimiter, at)) >= 0:
        spans.append((at, end))
        at = end + len(delimiter)
        if len(spans) > MAX_PARTS:
            raise _refuse(f"The form has more than {MAX_PARTS} parts.")
    if not spans or not re.fullmatch(rb"--[ \t]*(?:\r\n)?", body[at : at + MAX_HEADER_BYTES]):
        raise _refuse(
            "The form is incomplete: a boundary line is missing, or something stands outside of it."
        )
    parts = tuple(_parse_part(body, start, end) for start, end in spans)
    seen: set[str] = set()
    for part in parts:
        folded = part.name.casefold()
        if folded in seen and not part.name.endswith("[]"):
            raise _refuse(f"Field {part.name!r} stands twice.", part.name)
        seen.add(folded)
    return MultipartForm(parts)


def write_form(form: MultipartForm, replacements: dict[str, str]) -> tuple[Payload, str]:
    """(body, content type), with the values of these fields replaced; in pieces if a file of it is mapped."""
    boundary = secrets.token_hex(16)
    written: list[bytes | memoryview] = []
    for part in form.parts:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{part.name}"'
        if part.filename is not None:
            head += f'; filename="{part.filename}"'
        if part.content_type:
            head += f"\r\nContent-Type: {part.content_type}"
        value = replacements[part.name].encode() if part.name in replacements else part.value
        written += (f"{head}\r\n\r\n".encode(), value, b"\r\n")
    written.append(f"--{boundary}--\r\n".encode())
    content_type = f"multipart/form-data; boundary={boundary}"
    if any(type(part.value) is memoryview for part in form.parts):
        return written, content_type
    return b"".join(written), content_type


def _read_boundary(content_type: str) -> bytes:
    kind, separator, _ = content_type.partition(";")
    if kind.strip().lower() != "multipart/form-data":
        raise _refuse("This endpoint takes multipart/form-data.")
    parameters = _read_parameters(content_type[len(kind) :]) if separator else {}
    boundary = parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise _refuse("The content type of the form names no usable boundary.")
    return boundary.encode()


def _parse_part(body: bytes | mmap, start: int, end: int) -> Part:
    head_end = body.find(b"\r\n\r\n", start, end)
    head = b"" if head_end < 0 or head_end - start > MAX_HEADER_BYTES else body[start:head_end]
    if not head.startswith(b"\r\n"):
        raise _refuse("A part of the form has no head, or one that is too long.")
    headers: dict[str, str] = {}
    try:
        lines = head.decode().split("\r\n")[1:]
    except UnicodeDecodeError:
        raise _refuse("The head of a form part is not UTF-8.") from None
    for line in lines:
        name, colon, text = line.partition(":")
        name = name.lower()
        if not colon or name in headers or _CONTROL.search(line):
            raise _refuse("A form part has a head line that cannot be read.")
        headers[name] = text.strip(" \t")
    if headers.get("content-transfer-encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
        raise _refuse("Transfer encodings are not accepted in a form (RFC 7578, section 4.7).")
    content_type = headers.get("content-type", "")
    if content_type and not _MEDIA_TYPE.fullmatch(content_type):
        raise _refuse("A form part has a content type that cannot be read.")
    kind, _, rest = headers.get("content-disposition", "").partition(";")
    if kind.strip().lower() != "form-data":
        raise _refuse("A form part has no 'Content-Disposition: form-data'.")
    parameters = _read_parameters(";" + rest)
    if not re.fullmatch(r"[A-Za-z0-9_.\-\[\]]{1,64}", parameters.get("name", "")):
        raise _refuse("A form part has no name, or one that no endpoint knows.")
    filename = parameters.get("filename")
    if filename is not None:
        filename = re.sub(r'["\\\r\n]', "_", filename)
    is_mapped = filename is not None and type(body) is not bytes
    value = (memoryview(body) if is_mapped else body)[head_end + 4 : end]
    return Part(parameters["name"], value, filename, content_type)


def _read_parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        name = match.group(1).lower() if match else ""
        # `filename*` would be a second name for the same file (RFC 7578, section 4.2, forbids it).
        if match is None or name in found or "*" in name:
            raise _refuse("A header of the form has parameters that cannot be read.")
        quoted = match.group(2)
        found[name] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match.group(3)
        at = match.end()
    return found


def _refuse(message: str, param: str | None = None) -> BadExchange:
    return BadExchange(message, code="invalid_type", param=param)
