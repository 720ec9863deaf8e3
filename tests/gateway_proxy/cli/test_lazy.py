"""Lazy groups: a command exists if its module does."""

import click

from gateway_proxy.cli.lazy import LazyGroup

GROUP = LazyGroup(
    "g",
    commands_by_name={
        "here": ("gateway_proxy.cli.migrate:migrate", "Does something."),
        "absent": ("gateway_proxy.cli.no_such_module:command", "Never shown."),
    },
)


def test_an_absent_module_is_no_command() -> None:
    context = click.Context(GROUP)
    assert GROUP.list_commands(context) == ["here"]
    assert GROUP.get_command(context, "absent") is None
    assert GROUP.get_command(context, "other") is None


def test_a_command_is_imported_on_demand() -> None:
    command = GROUP.get_command(click.Context(GROUP), "here")
    assert isinstance(command, click.Command)
    assert command.name == "migrate"


def test_help_shows_the_lines_given() -> None:
    text = GROUP.get_help(click.Context(GROUP))
    assert "here  Does something." in text
    assert "absent" not in text
