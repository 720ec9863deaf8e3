"""Events on their way out: webhooks and notification services, fed by the outbox, never on the request path."""
