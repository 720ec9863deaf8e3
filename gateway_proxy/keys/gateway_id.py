"""The id of this gateway: made at its first start, kept in its data_dir, and its name in the store from then on."""

import os
from pathlib import Path

from gateway_proxy.core.ids import is_id, new_id


def read_gateway_id(data_dir: Path) -> str:
    """Raises ValueError when the file holds something else."""
    path = data_dir / "gateway-id"
    try:
        text = path.read_text("ascii").strip()
    except FileNotFoundError:
        text = new_id("gtw")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(fd, f"{text}\n".encode())
        finally:
            os.close(fd)
    if not is_id(text, "gtw"):
        raise ValueError(f"{path} does not hold a gateway id; restore it, or delete it to get a new one")
    return text
