"""Static files at addresses that hold their content's hash: they may be kept for ever, and never are stale."""

import hashlib
import mimetypes
from pathlib import Path

from aiohttp import web

from dashboard.frame import public

_KEEP = "public, max-age=31536000, immutable"


class Assets:
    """The files of one folder, read once. `url` raises KeyError for a name that is not there."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._prefix = prefix
        self._hashed: dict[str, str] = {}
        self._files: dict[str, tuple[str, bytes]] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self._add(path.relative_to(folder).as_posix(), path.read_bytes())

    def _add(self, name: str, content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()[:12]
        stem, dot, extension = name.rpartition(".")
        hashed = f"{stem or extension}.{digest}{dot}{extension if stem else ''}"
        self._hashed[name] = hashed
        self._files[hashed] = (mimetypes.guess_type(name)[0] or "application/octet-stream", content)

    def url(self, name: str) -> str:
        """The address of a file by its name below the folder."""
        return f"{self._prefix}/static/{self._hashed[name]}"

    def find(self, hashed: str) -> tuple[str, bytes] | None:
        """The type and content behind an address."""
        return self._files.get(hashed)


ASSETS = web.AppKey("assets", Assets)


@public
async def send_asset(request: web.Request) -> web.Response:
    """A static file; an address of an older version is gone."""
    found = request.app[ASSETS].find(request.match_info["name"])
    if found is None:
        raise web.HTTPNotFound
    content_type, content = found
    text = content_type.startswith("text/") or content_type.endswith("javascript")
    return web.Response(
        body=content,
        content_type=content_type,
        charset="utf-8" if text else None,
        headers={"Cache-Control": _KEEP},
    )


ROUTES = [web.get("/static/{name:.+}", send_asset)]
