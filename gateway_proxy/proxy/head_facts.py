"""What the handler needs of a request's head, read once. A client that sends the same head again is not read again.

Values only, and nothing that a reload or an edit of a key could change: those are asked for with every request.
"""

from multidict import CIMultiDictProxy, istr

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.dialects.anthropic.version import VERSION_LINE
from gateway_proxy.proxy.credentials import find_secret
from gateway_proxy.proxy.headers import encode_upward, is_plain
from gateway_proxy.proxy.routes import OPERATIONS, read_target
from gateway_proxy.proxy.trace import MAX_TRACESTATE_CHARACTERS, parse_traceparent

MAX_CLIENT_ID_CHARACTERS = 128
_CONTENT_TYPE, _CONTENT_ENCODING, _CONTENT_LENGTH = (
    istr("Content-Type"),
    istr("Content-Encoding"),
    istr("Content-Length"),
)


_FORMS = frozenset(("images", "audio"))  # operations that take a form


class HeadFacts:
    """`trace` is (trace id, parent span, flags) or None.

    `body_length` is what Content-Length says, None without it, and where our own front read it for itself. `is_plain`: a
    POST with this head is for a provider, has one credential or none, and a body that is read as it comes.
    """

    __slots__ = (
        "body_length", "client_request_id", "content_type", "dialect", "expects", "is_encoded", "is_form", "is_plain", "methods", "operation", "origin", "path",
        "secret", "secrets_differ", "trace", "trace_state", "upward",
    )  # fmt: skip

    def __init__(self, raw_path: str, headers: "CIMultiDictProxy[str]") -> None:
        path, dialect, self.methods = raw_path, "openai", "POST"
        operation = OPERATIONS.get(path)
        if operation is None:
            path, operation, dialect, self.methods = read_target(raw_path, headers)
        self.path = path
        self.operation = operation
        self.dialect = dialect
        self.content_type = headers.get(_CONTENT_TYPE, "")
        self.is_form = operation in _FORMS and self.content_type[:10].lower() == "multipart/"
        self.secrets_differ = False
        self.secret: str | None = None
        try:
            self.secret = find_secret(headers)
        except BadExchange:
            self.secrets_differ = True
        traceparent = headers.get("traceparent")
        self.trace = None if traceparent is None else parse_traceparent(traceparent)
        state = "" if self.trace is None else headers.get("tracestate", "")
        self.trace_state = state if len(state) <= MAX_TRACESTATE_CHARACTERS and is_plain(state) else ""
        client_id = headers.get("x-request-id", "")
        fits = len(client_id) <= MAX_CLIENT_ID_CHARACTERS and is_plain(client_id)
        self.client_request_id = client_id if fits else ""
        self.upward = encode_upward(headers)
        if dialect == "anthropic" and "anthropic-version" not in headers:
            self.upward += VERSION_LINE
        self.origin = headers.get("Origin")
        self.expects = headers.get("Expect")
        encodings = headers.getall(_CONTENT_ENCODING, ())
        self.is_encoded = any(encoding.strip().lower() not in ("", "identity") for encoding in encodings)
        length = headers.get(_CONTENT_LENGTH)
        self.body_length = int(length) if length is not None and length.isdigit() else None
        self.is_plain = (
            bool(operation) and operation != "mcp" and self.methods == "POST"
            and not (self.secrets_differ or self.is_encoded or self.is_form or self.expects is not None)
        )  # fmt: skip
