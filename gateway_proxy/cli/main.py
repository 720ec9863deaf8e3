"""The entry point: finds the command, and turns every way to fail into one line and an exit code.

0 done, 1 refused or failed, 2 wrong usage, 130 interrupted. No traceback ever: what nobody expected is
named by its type, with a hint how to see more.
"""

import io
import os
import sys
from collections.abc import Sequence

import click

from gateway_proxy import __version__
from gateway_proxy.cli.lazy import LazyGroup
from gateway_proxy.cli.refusal import Refusal

PROGRAM = "gateway-proxy"
_CLI = "gateway_proxy.cli"
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

_KEYS = {
    "create": (f"{_CLI}.keys_write:create", "Create a key and print its secret, once."),
    "list": (f"{_CLI}.keys_read:list_keys", "List keys: search, filter, sort."),
    "show": (f"{_CLI}.keys_read:show", "Show one key."),
    "update": (f"{_CLI}.keys_write:update", "Change a key's limits, scopes, expiry, name or owner."),
    "rotate": (f"{_CLI}.keys_write:rotate", "Give a key a new secret and print it, once."),
    "ephemeral": (f"{_CLI}.keys_write:ephemeral", "Make a short-lived token from a key and print it, once."),
    "deactivate": (f"{_CLI}.keys_write:deactivate", "Pause a key."),
    "activate": (f"{_CLI}.keys_write:activate", "End a pause or a revocation."),
    "revoke": (f"{_CLI}.keys_write:revoke", "Stop a key at once, running requests included."),
    "delete": (f"{_CLI}.keys_write:delete", "Delete a key for good; its usage stays."),
    "explain": (f"{_CLI}.keys_explain:explain", "Tell what each rule would say to a request."),
    "import": (f"{_CLI}.keys_transfer:import_keys", "Create keys from a CSV or JSON file."),
    "export": (f"{_CLI}.keys_transfer:export_keys", "Write all keys as CSV or JSON, without secrets."),
}
keys = LazyGroup(
    "keys", commands_by_name=_KEYS, help="Create, change and list keys.", context_settings=_CONTEXT
)
config = LazyGroup(
    "config",
    commands_by_name={"schema": (f"{_CLI}.check:schema", "Print the JSON Schema of the settings file.")},
    help="The settings file.",
    context_settings=_CONTEXT,
)
usage = LazyGroup(
    "usage",
    commands_by_name={
        "report": (f"{_CLI}.usage:report", "What was used and spent, by key, model, provider or day.")
    },
    help="What was used and spent.",
    context_settings=_CONTEXT,
)
audit = LazyGroup(
    "audit",
    commands_by_name={
        "tail": (f"{_CLI}.audit:tail", "Show the last acts in this gateway's audit log."),
        "verify": (f"{_CLI}.audit:verify", "Check that nobody touched the audit log."),
    },
    help="The local audit log.",
    context_settings=_CONTEXT,
)
mcp = LazyGroup(
    "mcp",
    commands_by_name={
        "servers": (f"{_CLI}.mcp:servers", "List MCP servers, or one server's tools."),
        "approve": (f"{_CLI}.mcp:approve", "Take a changed tool for what it is now."),
        "logs": (f"{_CLI}.mcp:logs", "Show what was called at MCP servers, newest last."),
    },
    help="MCP servers, their tools and their log.",
    context_settings=_CONTEXT,
)
orgs = LazyGroup(
    "orgs",
    commands_by_name={
        "add": (f"{_CLI}.orgs:add", "Add an organization, with its first owner if named."),
        "list": (f"{_CLI}.orgs:list_organizations", "List organizations."),
    },
    help="Organizations: who owns keys, members and gateways.",
    context_settings=_CONTEXT,
)
gateways = LazyGroup(
    "gateways",
    commands_by_name={
        "list": (f"{_CLI}.gateways:list_gateways", "List gateways."),
        "revoke": (f"{_CLI}.gateways:revoke", "Have a gateway refuse all traffic."),
        "allow": (f"{_CLI}.gateways:allow", "Undo a revocation."),
        "forget": (f"{_CLI}.gateways:forget", "Drop a gateway's record; one that still runs comes back."),
        "rotate-signing-key": (
            f"{_CLI}.gateways:rotate_signing_key",
            "Sign ephemeral tokens with a new pair.",
        ),
    },
    help="Gateways: who is attached to the store.",
    context_settings=_CONTEXT,
)
members = LazyGroup(
    "members",
    commands_by_name={
        "add": (f"{_CLI}.members:add", "Invite somebody and print the link, once."),
        "list": (f"{_CLI}.members:list_members", "List members."),
        "set-role": (f"{_CLI}.members:set_role", "Give a member another role."),
        "remove": (f"{_CLI}.members:remove", "End a membership; the keys are deactivated or handed on."),
        "setup-link": (f"{_CLI}.members:setup_link", "Print a link for a first or a new password, once."),
    },
    help="Members: who may sign in to the dashboard.",
    context_settings=_CONTEXT,
)
tokens = LazyGroup(
    "tokens",
    commands_by_name={
        "create": (f"{_CLI}.tokens:create", "Make an admin token and print its secret, once."),
        "list": (f"{_CLI}.tokens:list_tokens", "List admin tokens."),
        "revoke": (f"{_CLI}.tokens:revoke", "End an admin token for good."),
    },
    help="Admin tokens: secrets for programs that use the admin API.",
    context_settings=_CONTEXT,
)
store = LazyGroup(
    "store",
    commands_by_name={"copy": (f"{_CLI}.store:copy", "Copy everything into an empty store elsewhere.")},
    help="The store itself.",
    context_settings=_CONTEXT,
)
_COMMANDS = {
    "demo": (f"{_CLI}.demo:demo", "Try everything on this machine, with a built-in fake provider."),
    "serve": (f"{_CLI}.serve:serve", "Start the gateway."),
    "check": (f"{_CLI}.check:check", "Check the settings file without starting."),
    "config": (f"{_CLI}.main:config", "The settings file's schema."),
    "keys": (f"{_CLI}.main:keys", "Create, change and list keys."),
    "logs": (f"{_CLI}.logs:logs", "Show what was requested, newest last."),
    "usage": (f"{_CLI}.main:usage", "Reports of usage and spend."),
    "mcp": (f"{_CLI}.main:mcp", "MCP servers, their tools and their log."),
    "orgs": (f"{_CLI}.main:orgs", "Organizations."),
    "gateways": (f"{_CLI}.main:gateways", "Gateways: who is attached to the store."),
    "members": (f"{_CLI}.main:members", "Members: who may sign in."),
    "tokens": (f"{_CLI}.main:tokens", "Admin tokens, for programs."),
    "audit": (f"{_CLI}.main:audit", "The local audit log: show it, check it."),
    "store": (f"{_CLI}.main:store", "Move the store, for example to PostgreSQL."),
    "migrate": (f"{_CLI}.migrate:migrate", "Bring the store's schema up to date."),
}


@click.group(
    cls=LazyGroup,
    commands_by_name=_COMMANDS,
    context_settings=_CONTEXT,
    help="A self-hosted gateway for language models: scoped keys, streaming, exact limits and hard budgets.",
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def cli() -> None:
    pass


def ready_streams() -> None:
    """Let every text be printed, wherever it goes: a key that is made and cannot be shown is lost.

    Files and pipes are UTF-8, which JSON and CSV need; a terminal of another encoding shows escapes for what it
    lacks. A stream that was closed before the start (`>&-`) goes nowhere.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            setattr(sys, name, open(nowhere, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - for good
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


def run(arguments: Sequence[str]) -> int:
    """Run the command with these arguments; returns the exit code."""
    try:
        # Not `cli.main`: it would swallow a broken pipe and print on an interrupt.
        with cli.make_context(PROGRAM, list(arguments)) as context:
            cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        _complain(error.format_message(), bare=True)
        return 2
    except click.UsageError as error:
        where = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
        _complain(f"{error.format_message().rstrip('.')}{where}")
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # Python would try to flush once more at exit, and complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        _complain("the output was closed before everything was written")
        return 1
    except (Refusal, click.ClickException) as error:
        _complain(error.message)
        return error.exit_code
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _complain(f"{place}{error.strerror or type(error).__name__}")
        return 1
    except Exception as error:  # a bug, but the user still gets one line
        if os.environ.get("GATEWAY_PROXY_DEBUG"):
            raise
        _complain(
            f"unexpected {type(error).__name__}: {str(error)[:300]}; set GATEWAY_PROXY_DEBUG=1 to see where it comes from"
        )
        return 1
    return 0


def _complain(message: str, *, bare: bool = False) -> None:
    try:
        if bare:
            print(message, file=sys.stderr)
        else:
            print(f"{PROGRAM}: {' '.join(message.split())}", file=sys.stderr)
    except OSError:
        pass  # stderr is gone as well; the exit code still tells
