"""What other people's packages add: stages, dialects and sinks, found by entry point and named in the settings."""
