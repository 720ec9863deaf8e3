"""Every metric: its name, what it tells, and its labels. One table, which documents, dashboard and alerts are held to.

No label names a key or a person, and each has few values: names that clients make up are counted as `other`.
"""

from gateway_proxy.telemetry.exposition import Metric

_P = "gateway_proxy_"

METRICS: tuple[Metric, ...] = (
    Metric(_P + "build_info", "gauge", "1; the version is in the label.", ("version",)),
    Metric(_P + "ready", "gauge", "1 while /readyz answers 200."),
    Metric(
        _P + "requests_total", "counter", "Requests that have ended, refusals included.",
        ("operation", "provider", "model", "status", "outcome"),
    ),
    Metric(
        _P + "refusals_total", "counter",
        "The gateway's own error answers, by the code in x-gateway-error.", ("code",),
    ),
    Metric(
        _P + "shadow_refusals_total", "counter",
        "Requests of shadowed keys that would have been refused, by the code.", ("code",),
    ),
    Metric(
        _P + "request_duration_seconds", "histogram", "From a request's head to the end of its answer; admitted requests.",
        ("provider", "model", "stream"),
    ),
    Metric(
        _P + "time_to_first_token_seconds", "histogram",
        "From a request's head to the first byte of the answer that a client sees; streams.", ("provider", "model"),
    ),
    Metric(_P + "requests_in_flight", "gauge", "Admitted requests that have not ended."),
    Metric(
        _P + "tokens_total", "counter", "Tokens by class, none contained in another.", ("provider", "model", "class")
    ),
    Metric(_P + "cost_usd_total", "counter", "What was charged, in USD.", ("provider", "model")),
    Metric(
        _P + "attempts_total", "counter", "Attempts at providers, by how they ended and where their usage is known from.",
        ("provider", "outcome", "usage_source"),
    ),
    Metric(
        _P + "provider_health", "gauge", "1 for the state that the provider's circuit breakers are in, else 0.",
        ("provider", "state"),
    ),
    Metric(_P + "provider_connections", "gauge", "Connections to the provider now.", ("provider", "state")),
    Metric(_P + "provider_waiting", "gauge", "Requests that wait for a connection to the provider.", ("provider",)),
    Metric(_P + "spool_up", "gauge", "1 while the journal on disk can be written; 0: keys with a budget are refused."),
    Metric(_P + "spool_bytes", "gauge", "Size of the journal on disk."),
    Metric(_P + "spool_failures_total", "counter", "Writes and syncs of the journal that failed."),
    Metric(_P + "unsent_rows", "gauge", "Rows that wait for the store.", ("table",)),
    Metric(_P + "set_aside_rows_total", "counter", "Rows that the store refused for ever."),
    Metric(
        _P + "dropped_log_rows_total", "counter",
        "Request log rows that were not written: refusals beyond their bound, or while the store was away; and bodies.", ("reason",),
    ),
    Metric(_P + "store_up", "gauge", "1 while the store takes the books."),
    Metric(_P + "store_lag_seconds", "gauge", "Since when the store's changes were last seen."),
    Metric(
        _P + "shared_counters_up", "gauge",
        "1 while budgets can be judged by the counters that gateways share; absent without shared.redis_url.",
    ),
    Metric(_P + "shared_decision_seconds", "histogram", "How long a request waited for the shared counters' one answer."),
    Metric(
        _P + "shared_degraded_decisions_total", "counter",
        "Decisions without the shared counters: from this gateway's part of a limit, or refused for the budget.", ("kind",),
    ),
    Metric(_P + "shared_epochs_total", "counter", "How often the shared counters were entered: at a start, a reconnection, a loss."),
    Metric(_P + "keys", "gauge", "Keys that this gateway knows."),
    Metric(_P + "audit_log_up", "gauge", "1 while the local audit log can be written."),
    Metric(_P + "config_revision", "gauge", "Revision of the settings in force."),
    Metric(_P + "config_reload_ok", "gauge", "0 when the last reload was refused; the old settings are in force."),
    Metric(_P + "config_applied_timestamp_seconds", "gauge", "When the settings in force took effect."),
    Metric(_P + "admin_process_up", "gauge", "1 while the process of dashboard and admin API serves, once it was started."),
    Metric(_P + "event_loop_lag_seconds", "histogram", "How late a timer fires, sampled four times a second."),
    Metric("process_cpu_seconds_total", "counter", "CPU time of the gateway's process, user and system."),
    Metric("process_resident_memory_bytes", "gauge", "Its memory in RAM."),
    Metric("process_virtual_memory_bytes", "gauge", "Its address space."),
    Metric("process_open_fds", "gauge", "Its open file descriptors."),
    Metric("process_max_fds", "gauge", "How many it may open."),
    Metric("process_start_time_seconds", "gauge", "When it started."),
)  # fmt: skip
