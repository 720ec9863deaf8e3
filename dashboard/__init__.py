"""The dashboard: pages over the admin services. It reaches them and nothing else: no SQL, no sockets."""

from dashboard.app import mount

__all__ = ["mount"]
