"""What operators' tools see of a gateway: metrics for Prometheus, spans for OpenTelemetry."""
