"""Data and protocols of the gateway: no I/O and no third-party import. Read this package first."""
