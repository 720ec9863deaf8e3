"""The playground: a chat that the browser has with the data plane itself, by a secret that stays in the page."""

from aiohttp import web

from dashboard import guard
from dashboard.frame import ADMIN, current_actor, is_https, render


async def show_playground(request: web.Request) -> web.Response:
    """The page. Where the data plane has another origin, the page may connect to that one as well."""
    current_actor(request)
    origin = request.app[ADMIN].find_data_origin(request.url.host or "127.0.0.1")
    page_origin = f"{'https' if is_https(request) else 'http'}://{request.host}"
    base_url = f"{origin or page_origin}{request.app[ADMIN].data_path}/v1"
    context = {"data_origin": origin, "page_origin": page_origin, "base_url": base_url}
    response = render(request, "playground.html", context)
    if origin:
        policy = guard.HEADERS["Content-Security-Policy"]
        response.headers["Content-Security-Policy"] = policy.replace(
            "connect-src 'self'", f"connect-src 'self' {origin}"
        )
    return response


ROUTES = [web.get("/playground", show_playground)]
