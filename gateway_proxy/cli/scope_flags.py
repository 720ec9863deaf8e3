"""The flags of `keys create` and `keys update`, and the draft that they stand for.

A flag is named after what people say (`--rpm`); a mistake in a draft is reported by the flag it came from.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from gateway_proxy.cli.local import speak_of_flags
from gateway_proxy.keys.cells import read_cell, read_expiry, read_names, read_tools
from gateway_proxy.keys.draft import NARROWING
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.keys.signing import MAX_TTL_SECONDS

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag, the draft's member it sets (dotted inside `mcp`), its placeholder and help."""

    name: str
    member: str
    metavar: str
    help: str
    clearable: bool = True

    @property
    def parameter(self) -> str:
        return self.name.strip("-").replace("-", "_")


FLAGS = (
    Flag("--name", "name", "NAME", "What people call the key.", clearable=False),
    Flag(
        "--owner", "owner", "E-MAIL", "Whose key it is; default: the only owner, else local.", clearable=False
    ),
    Flag(
        "--expires",
        "expires",
        "WHEN",
        "never, 30d, 60d, 90d, 180d, 1y, a date (its start in UTC) or a date-time.",
    ),
    Flag("--rpm", "requests_per_minute", "N", "Requests per minute."),
    Flag("--tpm", "tokens_per_minute", "N", "Tokens per minute."),
    Flag(
        "--burst",
        "burst",
        "N",
        "Capacity of the requests bucket, without --rpm of the tokens bucket; default: the limit itself.",
    ),
    Flag("--max-parallel", "max_parallel_requests", "N", "Requests at the same time."),
    Flag("--budget-usd", "budget_usd", "X", "Hard budget, for example 25.00."),
    Flag("--budget-period", "budget_period", "PERIOD", "total, day, week or month."),
    Flag("--budget-timezone", "budget_timezone", "TZ", "Where days, weeks and months begin; default: UTC."),
    Flag("--alerts", "alert_thresholds", "50,80,100", "Percent of the budget at which to alert."),
    Flag("--providers", "allowed_providers", "a,b", "The only providers allowed; none = not one."),
    Flag(
        "--models",
        "allowed_models",
        "m1,m2",
        "The only models allowed, exact or with a final *; none = not one.",
    ),
    Flag("--endpoints", "allowed_endpoints", "chat,…", "The only endpoints allowed; none = not one."),
    Flag("--ips", "ip_allowlist", "cidr,…", "The only client addresses allowed; none = not one."),
    Flag("--metadata", "metadata", "JSON", "Object for your own use; update merges it into what is there."),
    Flag("--mcp-mode", "mcp.access_mode", "MODE", "allow_all, deny_all, allow_list or deny_list."),
    Flag("--mcp-servers", "mcp.servers", "a,b", "The servers of the allow or deny list."),
    Flag("--mcp-tools", "mcp.tools", "server/tool,…", "Allowed tools of a server; server/none = not one."),
)
_SWITCHES = ("strict", "shadow")
_BY_PARAMETER = {flag.parameter: flag for flag in FLAGS}
_BY_MEMBER = {flag.member: flag.name for flag in FLAGS} | {
    "expires_in": "--expires",
    "expires_at": "--expires",
    "mcp.enabled": "--mcp",
    "strict": "--strict",
    "shadow": "--shadow",
    "ephemeral": "--ephemeral",
    "ttl_seconds": "--ttl",
}


def scope_flags(*, clearing: bool) -> Callable[[_Command], _Command]:
    """Add the flags to a command; with `clearing` also a `--no-X` for each limit and scope."""

    def decorate(command: _Command) -> _Command:
        strict_help = "Refuse the key sooner while the store cannot be reached."
        command = click.option("--strict/--no-strict", default=None, help=strict_help)(command)
        shadow_help = "Judge limits and scopes, log what they would refuse, and refuse nothing."
        command = click.option("--shadow/--no-shadow", default=None, help=shadow_help)(command)
        command = _mcp_option(command)
        if clearing:
            for flag in reversed([flag for flag in FLAGS if flag.clearable]):
                no = f"--no-{flag.name[2:]}"
                command = click.option(no, f"no_{flag.parameter}", is_flag=True, help=f"Clear {flag.name}.")(
                    command
                )
        return _add(FLAGS, command)

    return decorate


def narrowing_flags(command: _Command) -> _Command:
    """Add the flags that narrow a token, and how long it lives."""
    flags = [flag for flag in FLAGS if flag.member.partition(".")[0] in NARROWING]
    return _add(flags, _mcp_option(ttl_option(command)))


def ephemeral_option(command: _Command) -> _Command:
    """`--ephemeral`."""
    text = "Make a token that ends after --ttl seconds and cannot be changed, in place of a key."
    return click.option("--ephemeral", is_flag=True, help=text)(command)


def ttl_option(command: _Command) -> _Command:
    """`--ttl`."""
    text = "Seconds that the token lives; default 3600."
    return click.option("--ttl", type=click.IntRange(1, MAX_TTL_SECONDS), metavar="S", help=text)(command)


def _mcp_option(command: _Command) -> _Command:
    return click.option("--mcp/--no-mcp", default=None, help="Allow MCP servers.")(command)


def _add(flags: Sequence[Flag], command: _Command) -> _Command:
    for flag in reversed(flags):
        command = click.option(flag.name, flag.parameter, metavar=flag.metavar, help=flag.help)(command)
    return command


def read_flags(given: dict[str, Any]) -> dict[str, Any]:
    """The draft for the flags that were given. Raises click.UsageError naming the flag."""
    draft: dict[str, Any] = {}
    mcp: dict[str, Any] = {}
    for parameter, value in given.items():
        if value is None or (value is False and parameter not in ("mcp", *_SWITCHES)):
            continue
        if parameter == "mcp":
            mcp["enabled"] = value
        elif parameter in _SWITCHES:
            draft[parameter] = value
        elif parameter == "ephemeral":
            draft["ephemeral"] = True
        elif parameter == "ttl":
            draft["ttl_seconds"] = value
        elif parameter.startswith("no_") and parameter[3:] in _BY_PARAMETER:
            flag = _BY_PARAMETER[parameter[3:]]
            if given.get(flag.parameter) is not None:
                raise click.UsageError(f"{flag.name} and --no-{flag.name[2:]} contradict each other")
            _set(draft, mcp, flag, None)
        elif parameter in _BY_PARAMETER:
            flag = _BY_PARAMETER[parameter]
            _set(draft, mcp, flag, _read(flag, value))
    if mcp:
        draft["mcp"] = mcp
    return draft


def usage_error(errors: Sequence[FieldError]) -> click.UsageError:
    """The mistakes of a draft, each under the flag it came from, in one line."""
    return click.UsageError("; ".join(f"{_flag_of(e.path)}: {speak_of_flags(e.message)}" for e in errors))


def _read(flag: Flag, text: str) -> Any:
    try:
        if flag.member == "expires":
            return read_expiry(text.strip())
        if flag.member == "mcp.tools":
            return read_tools(text.strip())
        if flag.member == "mcp.servers":
            return read_names(text.strip())
        return read_cell(flag.member, text)
    except ValueError as error:
        raise click.UsageError(f"{flag.name}: {text[:60]!r} {error}") from None


def _set(draft: dict[str, Any], mcp: dict[str, Any], flag: Flag, value: Any) -> None:
    if flag.member == "expires":
        draft.update(value or {"expires_at": None})
    elif flag.member.startswith("mcp."):
        mcp[flag.member[4:]] = value
    else:
        draft[flag.member] = value


def _flag_of(path: str) -> str:
    member = re.sub(r"\[\d+\]", "", path)
    while member:
        if member in _BY_MEMBER:
            return _BY_MEMBER[member]
        member = member.rpartition(".")[0]
    return path or "the draft"
