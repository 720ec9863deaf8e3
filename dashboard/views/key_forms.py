"""Create a key, edit a key: one form, whose mistakes stand beside their fields while everything typed stays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from dashboard.form_errors import FormErrors
from dashboard.forms import (
    EXPIRATIONS,
    KeyForm,
    blank_form,
    find_mistakes,
    form_of,
    read_form,
    to_document,
    to_patch,
)
from dashboard.frame import ADMIN, current_actor, go_to
from dashboard.posted import read_posted
from dashboard.timezones import list_timezones
from dashboard.views.keys import KEYS_PATH, ONE_KEY, key_address, render_dialog
from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.choices import Choices, ToolChoice
from gateway_proxy.admin.problem import Conflict, Invalid, Stale
from gateway_proxy.admin.roles import is_manager, require_key_writer
from gateway_proxy.core.ids import new_id
from gateway_proxy.keys.fields import ENDPOINTS, FieldError

_MODES = {
    "allow_all": "Allow All",
    "deny_all": "Deny All",
    "allow_list": "Allow List",
    "deny_list": "Deny List",
}
_EXPIRATION_LABELS = {
    "never": "Never", "30d": "30 days", "60d": "60 days", "90d": "90 days", "180d": "180 days", "1y": "1 year",
}  # fmt: skip
_PERIODS = {"total": "In total", "day": "Each day", "week": "Each week", "month": "Each month"}
_CHANGED_MEANWHILE = (
    "This key was changed since you opened the form. What you entered is kept: check it, then save again to put it in force."
)  # fmt: skip
_NO_OWNER = "Choose whose key this is."


@dataclass(frozen=True, slots=True)
class ServerTools:
    """One server of the tools picker; `tools` are discovered or named by the key."""

    name: str
    tools: tuple[ToolChoice, ...]


async def open_create(request: web.Request) -> web.Response:
    """The empty form; `?for=user` asks for the owner too."""
    actor = current_actor(request)
    require_key_writer(actor, actor.email)
    choices = await request.app[ADMIN].choices.list_choices(actor)
    return await _show_create(request, blank_form(choices.providers), choices, FormErrors())


async def create_key(request: web.Request) -> web.Response:
    """Makes the key and shows its secret, this once. Sent again, the form makes no second key."""
    actor = current_actor(request)
    require_key_writer(actor, actor.email)
    posted = await read_posted(request)
    form = read_form(posted)
    document, errors = to_document(form)
    if _is_for_user(request, actor) and "owner" not in document:
        errors.append(FieldError("owner", _NO_OWNER))
    if errors:
        errors.extend(find_mistakes(document))
    else:
        try:
            made = await request.app[ADMIN].keys.create(actor, document, once=str(posted.get("once") or "-"))
            return await show_secret(request, made.key, made.secret, "API Key created! Copy it now")
        except Conflict:
            return await render_dialog(request, "keys/sent_before.html", {}, status=409)
        except Invalid as invalid:
            errors.extend(invalid.errors)
    choices = await request.app[ADMIN].choices.list_choices(actor)
    return await _show_create(request, form, choices, FormErrors(errors))


async def open_edit(request: web.Request) -> web.Response:
    """The form with what the key has now."""
    actor, key = current_actor(request), await _find_own(request)
    choices = await request.app[ADMIN].choices.list_choices(actor)
    return await _show_edit(request, form_of(key, choices.providers), key, choices, FormErrors())


async def edit_key(request: web.Request) -> web.Response:
    """Changes what differs, if nobody else has changed the key meanwhile."""
    actor, key = current_actor(request), await _find_own(request)
    posted = await read_posted(request)
    form = read_form(posted)
    patch, errors = to_patch(form, key)
    if errors:
        errors.extend(find_mistakes(patch))
    else:
        try:
            revisions = [_read_revision(posted.get("revision"))]
            await request.app[ADMIN].keys.update(actor, key["id"], patch, revisions=revisions)
            notice = "Your changes are saved." if patch else "Nothing was changed."
            return go_to(request, key_address(request, key["id"]), notice=notice)
        except Stale:
            errors.append(FieldError("", _CHANGED_MEANWHILE))
        except Invalid as invalid:
            errors.extend(invalid.errors)
    choices = await request.app[ADMIN].choices.list_choices(actor)
    return await _show_edit(request, form, key, choices, FormErrors(errors))


async def show_secret(request: web.Request, key: dict[str, Any], secret: str, title: str) -> web.Response:
    """The green box. The answer itself carries the secret: it is kept nowhere, so a reload cannot show it again."""
    context = {"key": key, "secret": secret, "title": title}
    return await render_dialog(request, "keys/secret.html", context)


async def _show_create(
    request: web.Request, form: KeyForm, choices: Choices, errors: FormErrors
) -> web.Response:
    actor = current_actor(request)
    for_user = _is_for_user(request, actor)
    facts = _form_facts(form, choices, errors) | {"for_user": for_user, "key": None}
    context = {
        "form": form,
        "errors": errors,
        "form_facts": facts,
        "for_user": for_user,
        "once": new_id("key"),
    }
    status = 422 if errors else 200
    return await render_dialog(request, "keys/create.html", context, status=status)


async def _show_edit(
    request: web.Request, form: KeyForm, key: dict[str, Any], choices: Choices, errors: FormErrors
) -> web.Response:
    facts = _form_facts(form, choices, errors) | {"for_user": is_manager(current_actor(request)), "key": key}
    context = {"form": form, "errors": errors, "form_facts": facts, "key": key}
    status = 422 if errors else 200
    return await render_dialog(request, "keys/edit.html", context, status=status)


def _form_facts(form: KeyForm, choices: Choices, errors: FormErrors) -> dict[str, Any]:
    return {
        "tabs": {"basic": "Basic", "advanced": "Advanced", "mcp": "MCP"},
        "tab": errors.first_tab(form.text("tab")),
        "choices": choices,
        "owners": _with(choices.owners, (form.text("owner"),)),
        "providers": _with(form.ticked("providers_offered"), choices.providers),
        "expirations": {value: _EXPIRATION_LABELS[value] for value in EXPIRATIONS},
        "endpoints": ENDPOINTS,
        "periods": _PERIODS,
        "modes": _MODES,
        "timezones": list_timezones(),
        "servers": _with([server.name for server in choices.servers], form.ticked("mcp_servers")),
        "server_tools": _server_tools(form, choices),
    }


def _server_tools(form: KeyForm, choices: Choices) -> list[ServerTools]:
    known = {server.name: server.tools for server in choices.servers}
    names = _with(_with(list(known), form.ticked("mcp_servers")), form.ticked("mcp_tools_limited"))
    return [ServerTools(name, _list_tools(name, known.get(name, ()), form)) for name in names]


def _list_tools(server: str, known: Sequence[ToolChoice], form: KeyForm) -> tuple[ToolChoice, ...]:
    """What the server offers, and what else the key names."""
    described = {tool.name: tool for tool in known}
    prefix = f"{server}/"
    named = [name.removeprefix(prefix) for name in form.ticked("mcp_tools") if name.startswith(prefix)]
    return tuple(described.get(name, ToolChoice(name)) for name in _with(list(described), named))


def _with(names: Sequence[str], more: Sequence[str]) -> list[str]:
    return [name for name in dict.fromkeys((*names, *more)) if name]


async def _find_own(request: web.Request) -> dict[str, Any]:
    actor = current_actor(request)
    key = await request.app[ADMIN].keys.find(actor, request.match_info["key_id"])
    require_key_writer(actor, key["owner"])
    return key


def _is_for_user(request: web.Request, actor: Actor) -> bool:
    return request.query.get("for") == "user" and is_manager(actor)


def _read_revision(value: object) -> int:
    """The revision that the form was opened on; garbled is none that any key has."""
    text = value if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else 0


ROUTES = [
    web.get(KEYS_PATH + "/new", open_create),
    web.post(KEYS_PATH + "/new", create_key),
    web.get(ONE_KEY + "/edit", open_edit),
    web.post(ONE_KEY + "/edit", edit_key),
]
