"""The one exception that commands raise on purpose: a clear line and exit code 1."""


class Refusal(Exception):
    """The command could not do what was asked, and says so in one line."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
