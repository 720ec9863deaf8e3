"""Light, dark, or as the system says: the choice is kept in a cookie, so that no page flashes in the wrong one."""

from aiohttp import web

from dashboard.frame import PREFIX, THEME_COOKIE, THEMES, go_to, is_https, local_path, public
from dashboard.posted import read_posted

_YEAR_SECONDS = 365 * 86_400


@public
async def choose_theme(request: web.Request) -> web.Response:
    """Keeps the choice and goes back to the page it was made on."""
    form = await read_posted(request)
    theme = form.get("theme")
    if theme not in THEMES:
        raise web.HTTPBadRequest
    back = form.get("back")
    response = go_to(request, local_path(request, back) if isinstance(back, str) else "")
    response.set_cookie(
        THEME_COOKIE,
        str(theme),
        path=request.app[PREFIX],
        max_age=_YEAR_SECONDS,
        samesite="Lax",
        secure=is_https(request),
    )
    return response


ROUTES = [web.post("/theme", choose_theme)]
