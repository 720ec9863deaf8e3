"""From a TOML file, a dict or nothing to a `Config`, or to every mistake at once.

Promises that nothing of a bad file takes effect, and that no secret reaches a message. Watching the file belongs to
`watch`, swapping the settings in force to the application.
"""

import difflib
import hashlib
import json
import os
import re
import stat
import tomllib
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway_proxy.config.contradictions import find_contradictions
from gateway_proxy.config.mistakes import ConfigError, KeyPath, Mistake
from gateway_proxy.config.model import Config
from gateway_proxy.config.plugins import find_plugin_mistakes
from gateway_proxy.config.routing import UNION_TAGS
from gateway_proxy.config.secrets import Secret
from gateway_proxy.config.values import LoadContext

MAX_FILE_BYTES = 8 * 1024 * 1024
# What gateways of one fleet may well have each their own of.
_OWN = {
    "server": ("listen", "admin_listen", "tls", "workers"),
    "gateway": ("name",),
    "storage": ("url", "data_dir"),
    "shared": ("redis_url",),
    "security": ("pepper",),
}

_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")


def load_config(path: str | Path | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """The settings of a file, or the defaults for None; `environment` (default: the process's) resolves `env:NAME`.

    Raises ConfigError with every mistake.
    """
    if path is None:
        return config_from_dict({}, environment=environment)
    path = Path(path)
    source = _read_source(path)
    data = _parse(source, path)
    context = LoadContext(path.absolute().parent, os.environ if environment is None else environment)
    try:
        config = _build(data, context)
    except _Refused as refused:
        raise ConfigError(_locate(refused.found, source, path)) from None
    config._source = path.absolute()
    return config


def config_from_dict(
    data: Mapping[str, Any], folder: str | Path | None = None, environment: Mapping[str, str] | None = None
) -> Config:
    """The settings of a dict shaped like the file; relative paths start at `folder` (default: working directory).

    Raises ConfigError with every mistake.
    """
    context = LoadContext(
        Path(folder or Path.cwd()).absolute(), os.environ if environment is None else environment
    )
    try:
        return _build(dict(data), context)
    except _Refused as refused:
        raise ConfigError(Mistake(None, None, path, message) for path, message in refused.found) from None


def locate_mistakes(config: Config, found: Sequence[tuple[KeyPath, str]]) -> Iterator[Mistake]:
    """What is wrong with settings that were read: each at its line, as far as the file still tells."""
    if config.source is None:
        return (Mistake(None, None, path, message) for path, message in found)
    try:
        return _locate(found, _read_source(config.source), config.source)
    except ConfigError:
        return (Mistake(config.source, None, path, message) for path, message in found)


class _Refused(Exception):
    def __init__(self, found: list[tuple[KeyPath, str]]) -> None:
        super().__init__()
        self.found = found


def _build(data: dict[str, Any], context: LoadContext) -> Config:
    found = [*find_contradictions(data, context), *find_plugin_mistakes(data)]
    try:
        config = Config.model_validate(data, context=context)
    except ValidationError as error:
        found += [
            _describe(details)
            for details in error.errors(include_url=False, include_input=False)
            if details["type"] != "default_factory_not_called"  # follows from another mistake of the table
        ]
        raise _Refused(found) from None
    if found:
        raise _Refused(found)
    config._folder = context.folder
    config._digest = _digest(config)
    config._common_digest = _digest(config, _OWN)
    return config


def _read_source(path: Path) -> bytes:
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise _whole_file(path, "is a directory; write the path of the TOML file in it")
        with path.open("rb") as file:
            source = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise _whole_file(path, "does not exist; write the path of the TOML file") from None
    except OSError as error:
        raise _whole_file(path, f"cannot be read ({error.strerror}); check its owner and mode") from None
    except ValueError:
        raise _whole_file(path, "is no path; write the path of the TOML file") from None
    if len(source) > MAX_FILE_BYTES:
        raise _whole_file(path, f"is larger than {MAX_FILE_BYTES} bytes; it cannot be the settings")
    return source.removeprefix(b"\xef\xbb\xbf")


def _whole_file(path: Path, message: str, line: int | None = None) -> ConfigError:
    return ConfigError([Mistake(path, line, (), message)])


def _parse(source: bytes, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(source.decode())
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise _whole_file(path, "is not UTF-8 text from here on; save it as UTF-8", line) from None
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        if place is None:
            raise _whole_file(path, f"is not valid TOML: {error}") from None
        problem = str(error)[: place.start()]
        line = int(place[1]) if place[1] else source.rstrip().count(b"\n") + 1
        column = f" at column {place[2]}" if place[2] else " where the file ends"
        raise _whole_file(path, f"is not valid TOML: {problem}{column}; correct the line", line) from None
    except RecursionError:
        raise _whole_file(path, "is nested too deeply; no setting needs that") from None
    except ValueError:
        raise _whole_file(path, "holds a number that is too long; no setting needs that") from None


def _locate(found: Sequence[tuple[KeyPath, str]], source: bytes, file: Path) -> Iterator[Mistake]:
    from gateway_proxy.config.positions import find_lines, nearest_line

    try:
        lines = find_lines(source)
    except RecursionError:
        lines = {}
    for path, message in found:
        yield Mistake(file, nearest_line(lines, path), path, message)


def _describe(details: ErrorDetails) -> tuple[KeyPath, str]:
    location = details["loc"]
    if location and location[-1] == "[key]":  # pydantic's mark of a mistake in a table's key
        location = location[:-1]
    path = tuple(part for part in location if part not in UNION_TAGS)
    return path, _explain(details, path)


def _explain(details: ErrorDetails, path: KeyPath) -> str:
    """Our words for pydantic's error; none of them repeats the value, since it may be a secret."""
    limits = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            near = difflib.get_close_matches(str(path[-1]), _keys_at(path[:-1]), n=1, cutoff=0.5)
            return (
                f'unknown key; did you mean "{near[0]}"?' if near else f"unknown key; {_list_keys(path[:-1])}"
            )
        case "missing":
            return f"is missing; write {path[-1]} = …"
        case "value_error":
            return str(limits["error"])
        case "literal_error" | "union_tag_invalid":
            return f"must be one of {limits['expected']}; write one of them"
        case "string_type":
            return 'must be text; write it in quotes ("…")'
        case "bool_type":
            return "must be a boolean; write true or false, without quotes"
        case "int_type" | "int_from_float":
            return "must be a whole number; write it without quotes and decimal point"
        case "float_type":
            return "must be a number; write it without quotes"
        case "finite_number":
            return "must be a finite number; write one"
        case "greater_than":
            return f"must be greater than {limits['gt']}; write a larger number"
        case "greater_than_equal":
            return f"must be at least {limits['ge']}; write a larger number"
        case "less_than_equal":
            return f"must be at most {limits['le']}; write a smaller number"
        case "tuple_type":
            return "must be a list; write [ … ] or [[tables]]"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a table; write { … } or a [section]"
        case _:
            return f"{details['msg'][:1].lower()}{details['msg'][1:]}; write another value"


def _keys_at(path: KeyPath) -> list[str]:
    """The keys that the table at `path` may have."""
    model: type[BaseModel] = Config
    for part in path:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        nested = list(models_in(field.annotation)) if field else []
        if not nested:
            return []
        model = nested[0]
    return list(model.model_fields)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The tables that a setting of this type may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in {Annotated, Union, types.UnionType, tuple}:
        for argument in get_args(annotation):
            yield from models_in(argument)


def _list_keys(path: KeyPath) -> str:
    keys = _keys_at(path)
    return f"write one of: {', '.join(keys)}" if keys else "remove it"


def _digest(config: Config, left_out: Mapping[str, Sequence[str]] = MappingProxyType({})) -> str:
    """SHA-256 over the settings without secrets, and a marker over all secrets together. What is left out of a table
    is left out with its secrets.

    The marker is slow to make and cut to 32 bits: enough to notice a change, useless for testing guesses.
    """
    settings: dict[str, Any] = config.without_secrets()
    held: list[object] = []
    for table in Config.model_fields:
        own, value = left_out.get(table, ()), getattr(config, table)
        held += (
            [getattr(value, name) for name in type(value).model_fields if name not in own] if own else [value]
        )
        for name in own:
            settings[table].pop(name)
    secrets = json.dumps([secret.reveal() for secret in _secrets_in(tuple(held))]).encode()
    marker = hashlib.pbkdf2_hmac("sha256", secrets, b"gateway-proxy settings", 20_000, dklen=4)
    return hashlib.sha256(marker + json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _secrets_in(value: object) -> Iterator[Secret]:
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets_in(getattr(value, name))
    elif isinstance(value, dict):
        for name in sorted(value):
            yield from _secrets_in(value[name])
    elif isinstance(value, tuple):
        for item in value:
            yield from _secrets_in(item)
