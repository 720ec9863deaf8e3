"""What the error codes of the data plane mean, in words for whoever looks at a request in the log."""

TEXTS: dict[str, tuple[str, str]] = {
    # code: (what it means, what to do)
    "missing_api_key": ("No credential was sent.", "Send the key as Authorization: Bearer."),
    "invalid_api_key": ("The key is unknown, garbled or deleted.", "Compare it with the previews of the API keys."),
    "key_expired": ("The key's time is over.", "Edit its expiry."),
    "key_inactive": ("The key is paused.", "Activate it."),
    "key_revoked": ("The key was revoked, perhaps while the request ran.", "Make a new key, or activate it again."),
    "token_cannot_mint": ("An ephemeral token was used to make another.", "Use the key that it was made from."),
    "conflict": ("No token could be made from the key: it ends within a second, or has 10,000 live ones.", "Edit its expiry, or use tokens again."),
    "conflicting_credentials": ("Two different credentials came in one request.", "Send one."),
    "ip_not_allowed": ("The client's address is outside the key's IP allowlist.", "Add the address; behind a proxy, set trusted_proxies."),
    "endpoint_not_allowed": ("The endpoint is outside the key's scope.", "Allow it for the key, or use another key."),
    "dialect_not_served": ("No provider of the model speaks the API that was called.", "Call the API of its provider, or ask for another model."),
    "provider_not_allowed": ("No provider that the key may use serves the model.", "Allow one for the key, or ask for another model."),
    "mcp_disabled": ("The key may not use MCP.", "Turn MCP on for the key."),
    "model_not_found": ("The model is outside the key's scope, or there is none of this name.", "GET /v1/models lists what the key may use."),
    "not_translatable": ("The model's provider speaks another API, and the request has something that it cannot say there.", "Leave it out, or ask for a model whose provider speaks the API that was called."),
    "denied": ("A stage refused without naming a reason.", "Look at the stages that were added in the settings."),
    "rate_limit_exceeded": ("Requests a minute, tokens a minute or parallel requests of the key were used up.", "Wait, or raise the key's limits."),
    "insufficient_quota": ("The most that the request could cost did not fit into what is left of the budget.", "Raise the budget, lower the request's output maximum, or wait for the next period."),
    "model_unpriced": ("The key has a budget, and nobody knows the price of the model.", "Give the model a price in the settings."),
    "cost_unbounded": ("The key has a budget, and nothing bounds what this request may cost.", "Leave out what has no bound, or set max_input_tokens on the model."),
    "budget_unverifiable": ("The books could not be kept, or the key's counter was not loaded.", "Look for an alarm in the gateway's log."),
    "invalid_json": ("The body was not JSON that can be read in one way only.", "Mend the client."),
    "invalid_type": ("A member of the body had the wrong type or value.", "Mend the client."),
    "too_deep": ("The body was nested beyond 128 levels.", "Flatten it."),
    "model_missing": ("The body named no model.", "Name one."),
    "invalid_body": ("The body was not valid HTTP.", "Mend the client."),
    "invalid_target": ("The path was not in its plain form.", "Mend the client's base URL."),
    "invalid_header": ("A header was neither ASCII nor UTF-8.", "Mend the client."),
    "unsupported_transfer_coding": ("The body had a transfer coding but chunked.", "Mend the client."),
    "unexpected_body": ("A body came with a method that takes none.", "Mend the client."),
    "unsupported_http_version": ("The client spoke another version of HTTP.", "Use HTTP/1.1."),
    "invalid_request": ("The head of the request was not valid HTTP.", "Mend the client."),
    "route_not_found": ("The gateway does not serve this path.", "Compare the client's base URL."),
    "response_not_found": ("What the request names is unknown, or belongs to another key.", "Send the whole input."),
    "previous_response_not_found": ("The earlier response is unknown, or belongs to another key.", "Send the whole input."),
    "kept_elsewhere": ("The request names something that another provider keeps.", "Use the model that made it."),
    "stateful_not_allowed": ("The provider stores nothing for keys.", "Send the whole input, and store: false."),
    "method_not_allowed": ("The path takes another method.", "Mend the client."),
    "body_timeout": ("The body stalled for 30 seconds.", "Look at the client's connection."),
    "body_too_large": ("The body was larger than max_body_bytes.", "Send less, or raise the setting."),
    "unsupported_encoding": ("The body was compressed.", "Send it plain."),
    "expectation_failed": ("An Expect header asked for something unknown.", "Leave it out."),
    "unknown_host": ("The gateway was called by a foreign host name.", "Use one of allowed_hosts."),
    "stage_failed": ("A plugin's stage broke, so it refused what it could not judge.", "Its fault is in the gateway's log."),
    "stage_timeout": ("A plugin's stage took too long.", "Retry; if it repeats, look at the plugin."),
    "admin_token_required": ("The gateway's metrics were asked for from elsewhere, without an admin token.", "Send one as Authorization: Bearer."),
    "mcp_denied": ("The key may not use this MCP server or tool; the client was told that it is unknown.", "See the MCP tab of the key."),
    "mcp_invalid": ("The MCP message was wrong, or named what does not exist.", "The client was told what; mend it."),
    "origin_not_allowed": ("A foreign web page sent an MCP request.", "Add it to cors_origins, if it is meant."),
    "upstream_unavailable": ("The provider was unreachable, or all targets of the model were resting after failures.", "See the health of the providers in Settings."),
    "upstream_timeout": ("The provider did not connect, answer or go on in time.", "See timeouts of the provider in the settings."),
    "upstream_auth_failed": ("The provider refused the gateway's own credential.", "Check the provider's api_key in the settings."),
    "upstream_broken": ("The provider's answer broke off, or could not be passed on.", "Retry; if it repeats, look at the provider."),
    "upstream_error": ("The provider reported an error inside the stream.", "The client has the provider's own text."),
    "overloaded": ("Too many requests ran at once, or the gateway was shutting down.", "Retry; if it repeats, add gateways."),
    "store_stale": ("The store was out of reach for longer than allowed, or the gateway was revoked.", "Look at the store and at Gateways."),
    "internal_error": ("A fault of the gateway.", "Its log has the reason under the request id."),
    "client_gone": ("The client left before the answer was complete.", "Nothing, if that was meant; else see the client's timeouts."),
}  # fmt: skip
_BY_STATUS = (
    (500, "The provider answered with an error of its own, which was passed on.", "The client has its text."),
    (400, "The provider refused the request, and its answer was passed on.", "The client has its text."),
)


def explain_error(code: str, status: int) -> tuple[str, str]:
    """What happened and what to do; two empty texts for a request that went well."""
    if code in TEXTS:
        return TEXTS[code]
    for lowest, meaning, advice in _BY_STATUS:
        if status >= lowest:
            return meaning, advice
    return "", ""
