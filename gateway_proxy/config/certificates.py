"""Whether the listener's certificate and key can be used, found out before anything is started with them."""

from pathlib import Path


def find_certificate_problem(cert: Path, key: Path) -> str | None:
    """What is wrong with these two PEM files and what to do; None for a usable pair, and for files that are not there."""
    import ssl

    if not cert.is_file() or not key.is_file():
        return None
    try:
        # Without a callback OpenSSL would stop and ask the terminal for a passphrase.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=_refuse_passphrase)
    except _Encrypted:
        return f"has a key with a passphrase, {key}; write the path of one without"
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"does not belong to the key {key}; write the two files of one pair"
        return f"{cert} and {key} are not a certificate and its private key in PEM; write the paths of such files"
    except OSError as error:
        return f"{cert} and {key} cannot be read: {error.strerror or error}; correct their permissions"
    return None


class _Encrypted(Exception):
    pass


def _refuse_passphrase() -> str:
    raise _Encrypted
