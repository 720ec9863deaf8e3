"""Refusals and faults as pages in the dashboard's own look; a traceback goes to the log and never to a visitor."""

import logging

from aiohttp import web
from aiohttp.typedefs import Handler

from dashboard.frame import go_to, render
from dashboard.guard import SIGN_IN_PATH
from gateway_proxy.admin.problem import Problem, SignInNeeded, TooMany

log = logging.getLogger("gateway_proxy.dashboard")

_TEXTS = {
    400: ("Bad request", "The request could not be understood. Go back and try again."),
    403: ("Not allowed", "You may not do this. Ask an owner or admin of your organization."),
    404: ("Page not found", "There is nothing at this address. It may have been deleted, or it belongs to others."),
    405: ("Not possible here", "This address does not take that kind of request. Open it from the navigation."),
    413: ("Too large", "What was sent is larger than this page takes."),
    500: ("Something went wrong", "The page failed, and the reason is in the gateway's log. Nothing was changed."),
    503: ("Not available just now", "The store or the gateway does not answer. Try again in a moment."),
}  # fmt: skip


@web.middleware
async def show_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns what a page raises into an answer."""
    try:
        return await handler(request)
    except SignInNeeded:
        return go_to(request, SIGN_IN_PATH)
    except Problem as problem:
        return _problem_page(request, problem)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        page = error_page(request, error.status)
        if "Allow" in error.headers:
            page.headers["Allow"] = error.headers["Allow"]
        return page
    except ConnectionError as error:
        log.warning("%s %s: %s", request.method, request.path, error)
        return error_page(request, 503)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return error_page(request, 500)


def error_page(request: web.Request, status: int, *, title: str = "", detail: str = "") -> web.Response:
    """The page of a status, with its own words where the caller has better ones."""
    known_title, known_detail = _TEXTS.get(status, _TEXTS[400 if status < 500 else 500])
    context = {"status": status, "title": title or known_title, "detail": detail or known_detail}
    return render(request, "error.html", context, status=status)


def _problem_page(request: web.Request, problem: Problem) -> web.Response:
    detail = problem.detail[:1].upper() + problem.detail[1:]
    page = error_page(request, problem.status, title=problem.title, detail=detail.rstrip(".") + ".")
    if isinstance(problem, TooMany):
        page.headers["Retry-After"] = str(problem.retry_after_seconds)
    return page
