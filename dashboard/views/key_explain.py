"""What would become of a request of a key: a form of a few fields, and each rule's verdict below it."""

from typing import Any

from aiohttp import web

from dashboard.frame import ADMIN, current_actor
from dashboard.plain_form import Mistakes, PlainForm, find_mistakes, read_form
from dashboard.views.keys import ONE_KEY, render_dialog
from gateway_proxy.admin.explain import ENDPOINTS
from gateway_proxy.admin.problem import Invalid, Unavailable

FIELDS = ("model", "endpoint", "ip", "provider", "mcp_tool")


async def open_explain(request: web.Request) -> web.Response:
    return await _show(request, PlainForm({"endpoint": "chat"}), Mistakes())


async def explain_key(request: web.Request) -> web.Response:
    """The verdicts, or what is wrong with the question."""
    form = await read_form(request, FIELDS)
    question = {name: text for name in FIELDS if (text := form.text(name))}
    try:
        told = await request.app[ADMIN].explain.explain(
            current_actor(request), request.match_info["key_id"], question
        )
    except Invalid as problem:
        return await _show(request, form, find_mistakes(problem, FIELDS), status=422)
    except Unavailable as problem:
        return await _show(request, form, Mistakes([("", problem.detail)]), status=problem.status)
    return await _show(request, form, Mistakes(), told)


async def _show(
    request: web.Request,
    form: PlainForm,
    errors: Mistakes,
    told: dict[str, Any] | None = None,
    *,
    status: int = 200,
) -> web.Response:
    key = await request.app[ADMIN].keys.find(current_actor(request), request.match_info["key_id"])
    denied = [verdict["code"] for verdict in told["verdicts"] if verdict["verdict"] == "deny"] if told else []
    context = {
        "key": key,
        "form": form,
        "errors": errors,
        "told": told,
        "refusal": denied[0] if denied else "",
        "endpoints": {name: name for name in ENDPOINTS},
    }
    return await render_dialog(request, "keys/explain.html", context, status=status)


ROUTES = [
    web.get(ONE_KEY + "/explain", open_explain),
    web.post(ONE_KEY + "/explain", explain_key),
]
