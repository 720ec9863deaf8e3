"""Commands by name: a module is imported when its command runs, so that `--help` and completion stay quick."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose commands are `name: (module:attribute, one line of help)`.

    A command whose module is not installed does not exist.
    """

    def __init__(self, *args: Any, commands_by_name: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self._by_name = commands_by_name

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, (place, _) in self._by_name.items() if find_spec(place.partition(":")[0])]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module, _, attribute = self._by_name[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands from the lines given, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._by_name[name][1]) for name in self.list_commands(ctx)])
