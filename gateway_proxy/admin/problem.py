"""Why an administrative act was refused: RFC 9457 problems, before anybody writes them as JSON or HTML."""

from collections.abc import Sequence

from gateway_proxy.keys.fields import FieldError


class Problem(Exception):
    """Refused, and nothing was changed. `code` is stable; `detail` says what was wrong and what to do."""

    status = 400
    code = "bad_request"
    title = "Bad request"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code


class Malformed(Problem):
    """What was sent cannot be read at all."""

    code = "invalid_json"
    title = "Not readable"


class SignInNeeded(Problem):
    status = 401
    code = "unauthenticated"
    title = "Sign in first"


class NotAllowed(Problem):
    status = 403
    code = "forbidden"
    title = "Not allowed"


class NotFound(Problem):
    """There is none, or it belongs to others: the two look alike."""

    status = 404
    code = "not_found"
    title = "Not found"


class WrongMethod(Problem):
    """The resource exists and answers other methods; `allowed` names them."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"

    def __init__(self, detail: str, allowed: Sequence[str]) -> None:
        super().__init__(detail)
        self.allowed = tuple(allowed)


class Conflict(Problem):
    status = 409
    code = "conflict"
    title = "Conflict"


class Stale(Problem):
    """`If-Match` names another revision."""

    status = 412
    code = "revision_mismatch"
    title = "Changed meanwhile"


class TooLarge(Problem):
    status = 413
    code = "body_too_large"
    title = "Too large"


class WrongType(Problem):
    """The body is in a format that is not taken."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"


class Invalid(Problem):
    """The document has mistakes; each is named by its path."""

    status = 422
    code = "invalid"
    title = "Invalid document"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.errors = tuple(errors)


class TooMany(Problem):
    """Asked too often; `retry_after_seconds` says when to come back."""

    status = 429
    code = "throttled"
    title = "Too many attempts"

    def __init__(self, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(Problem):
    """The gateway or the store does not answer; nothing is wrong with what was asked."""

    status = 503
    code = "gateway_unavailable"
    title = "Not available"
