"""How the provider shall behave for one request: the modes, their parameters, and the directives that choose them.

A directive travels inside the prompt (`[[fake: mode=slow delay_ms=50]]`) or the model name (`tok-1+mode=slow+delay_ms=50`), so it
passes any proxy unmodified. What a mode does on the wire does not belong here.
"""

import dataclasses
import re
from collections.abc import Mapping

MODES: dict[str, str] = {
    "honest": "generates, reports and bills the truth; stops when the client is gone and bills what was made",
    "buffers": "like honest, but after the client is gone it goes on for `bytes` (2048) more bytes of output, and bills them",
    "exceeds_cap": "makes 10 % more tokens than the request's maximum (at least one more), reports and bills them",
    "no_usage": "reports no usage at all; bills the truth",
    "usage_zero": "reports zeros and bills zeros",
    "usage_twice": "sends the stream's usage event twice; bills once",
    "usage_negative": "reports negative numbers; bills the truth",
    "usage_float": "reports numbers with a fraction; bills the truth",
    "usage_string": "reports numbers as strings; bills the truth",
    "usage_huge": "reports 2**63 everywhere; bills the truth",
    "error_after": "answers `status` (500) with an error body after `after` tokens were made, and bills them",
    "stream_error_after": "a 200 stream, `after` tokens, an error event, end; bills `after`. Not a stream: as error_after",
    "silent": "says nothing for `seconds` (90), `phase=head` before the head or `phase=body` after the first token; then honest",
    "cut": "sends `bytes` (0) bytes of the stream's tail (usage event and [DONE]; `event=done`: of [DONE] only; not a stream: of the "
    "body) and closes; `end=clean` ends the chunked framing properly first; bills everything",
    "reset": "TCP reset after `after` tokens of the stream (not a stream: after the head), bills them",
    "redirect": "307 to `to`; bills nothing",
    "endless_header": "header bytes until the client goes away, at most `megabytes` (64); bills nothing",
    "gzip_bomb": "a gzip body that unpacks to `megabytes` (200) of padding around the answer; bills the truth",
    "bad_chunk": "an invalid chunk size after `after` tokens, then close; bills them",
    "wrong_length": "a Content-Length 100 bytes too long, then close; bills everything",
    "huge_event": "the first token's event carries `bytes` (1048576) bytes of text",
    "ctl_header": "a response header with control bytes, then honest",
    "status": "answers `status` (503) with an error body and `retry_after` if given; bills nothing",
    "crlf": "honest, events end in CR LF CR LF",
    "split": "honest, each event is written in pieces of `bytes` (1) bytes, each its own chunk, `flush_ms` (1) apart",
    "slow": "honest with `delay_ms` of 100 unless given",
}

_DIRECTIVE = re.compile(r"\[\[fake:([^\]]*)\]\]")
_DEFAULT_BYTES = {"buffers": 2048, "cut": 0, "huge_event": 1 << 20, "split": 1}
_DEFAULT_MEGABYTES = {"endless_header": 64, "gzip_bomb": 200}
_CHOICES = {"phase": ("head", "body"), "event": ("usage", "done"), "end": ("close", "clean")}


class BehaviourError(ValueError):
    """A directive that cannot be followed; the message says which part and what is allowed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Behaviour:
    """One request's orders. `None` means: the mode's own default (see MODES).

    `tokens` is what the provider wants to make (the request's maximum still cuts it), of which `reasoning` are hidden;
    `cached` is how many prompt tokens count as cached; `after` the number of tokens before a failure.
    """

    mode: str = "honest"
    tokens: int | None = None
    reasoning: int = 0
    cached: int = 0
    after: int = 3
    delay_ms: float | None = None
    head_delay_ms: float = 0.0
    flush_ms: float = 1.0
    seconds: float = 90.0
    status: int | None = None
    retry_after: str = ""
    to: str = ""
    phase: str = "head"
    event: str = "usage"
    end: str = "close"
    bytes: int | None = None
    megabytes: int | None = None

    @property
    def delay_seconds(self) -> float:
        """Pause before each token, in seconds."""
        if self.delay_ms is None:
            return 0.1 if self.mode == "slow" else 0.0
        return self.delay_ms / 1000

    @property
    def size(self) -> int:
        """`bytes`, or the mode's default for it."""
        return _DEFAULT_BYTES.get(self.mode, 0) if self.bytes is None else self.bytes

    @property
    def size_megabytes(self) -> int:
        """`megabytes`, or the mode's default for it."""
        return _DEFAULT_MEGABYTES.get(self.mode, 0) if self.megabytes is None else self.megabytes


HONEST = Behaviour()
_FIELDS = {field.name: field for field in dataclasses.fields(Behaviour)}


def parse_behaviour(values: Mapping[str, object]) -> Behaviour:
    """Build orders from names and values (numbers or their text). Raises BehaviourError."""
    checked = {name: _convert(name, value) for name, value in values.items()}
    behaviour = Behaviour(**checked)  # type: ignore[arg-type]
    if behaviour.mode not in MODES:
        raise BehaviourError(f"mode={behaviour.mode} is unknown; use one of {', '.join(MODES)}")
    for name, allowed in _CHOICES.items():
        if getattr(behaviour, name) not in allowed:
            raise BehaviourError(
                f"{name}={getattr(behaviour, name)} is unknown; use one of {', '.join(allowed)}"
            )
    return behaviour


def choose_behaviour(model: str, prompt: str, default: Behaviour) -> Behaviour:
    """The prompt's directive, else the model name's, else the default; a directive replaces the default as a whole.

    Raises BehaviourError when the directive is malformed.
    """
    found = _DIRECTIVE.findall(prompt)
    if found:
        return _parse_pairs(found[-1].split())
    if "+" in model:
        pairs = model.split("+")[1:]
        if all("=" in pair for pair in pairs):
            return _parse_pairs(pairs)
    return default


def _parse_pairs(pairs: list[str]) -> Behaviour:
    values: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BehaviourError(f"{pair!r} in the directive has no value; write name=value")
        values[name] = value
    return parse_behaviour(values)


def _convert(name: str, value: object) -> object:
    field = _FIELDS.get(name)
    if field is None:
        raise BehaviourError(f"parameter {name!r} is unknown; use one of {', '.join(_FIELDS)}")
    if field.type in (str, "str"):
        return str(value)
    kind = float if field.type in (float, "float", float | None) else int
    try:
        number = kind(str(value))
    except ValueError as error:
        raise BehaviourError(f"{name}={value} is not a number") from error
    if not 0 <= number < 1e12:
        raise BehaviourError(f"{name}={value} is out of range; use 0 or more")
    return number
