"""`migrate`: brings the store's schema up to date."""

from pathlib import Path

import click

from gateway_proxy.cli.local import config_option, json_option, load_settings, private_folder, run_async
from gateway_proxy.cli.output import print_json


@click.command()
@config_option
@json_option
def migrate(config_path: Path | None, as_json: bool) -> None:
    """Bring the store's schema up to date; makes the store if there is none."""
    from gateway_proxy.storage import Store, open_database

    config = load_settings(config_path)
    path = config.storage.sqlite_path
    if path is not None:
        private_folder(path.parent)

    async def work() -> list[str]:
        store = Store(await open_database(config.storage.url.reveal()))
        try:
            return await store.migrate()
        finally:
            await store.close()

    applied = run_async(work())
    if as_json:
        print_json({"applied": applied})
    else:
        print(f"Applied {', '.join(applied)}." if applied else "The schema is up to date.")
