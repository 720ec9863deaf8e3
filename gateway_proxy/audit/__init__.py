"""The local audit log of a gateway: an HMAC-chained file, its writer and its verification."""
