"""The gateway as of a next version, whose schema is in another folder: `python -m tests.rig.newer FOLDER serve -c FILE`."""

import shutil
import sys
from pathlib import Path

from gateway_proxy.storage import migrations

__all__ = ["make_next_schema"]


def make_next_schema(parent: Path) -> Path:
    """A folder with this version's files and one more."""
    from tests.flows.test_postgres import NEXT_VERSION  # not for the gateway, which this module becomes

    folder = parent / "sql"
    shutil.copytree(migrations.sql_folder(), folder)
    known = len(migrations.load_migrations("postgres"))
    (folder / f"{known + 1:04d}_next.sql").write_text(NEXT_VERSION)
    return folder


if __name__ == "__main__":
    folder = Path(sys.argv.pop(1))
    migrations.sql_folder = lambda: folder
    from gateway_proxy.__main__ import main

    sys.exit(main())
