"""A streamed answer that is remembered while it passes: its beginning, up to a bound, for the log."""

from gateway_proxy.core.body_text import is_text
from gateway_proxy.proxy.answers import StreamAnswer

MAX_BYTES = 1_048_576
"""Of one stream: its events take many times the room of what they say."""


class KeptStream(StreamAnswer):
    """Stands in for `StreamAnswer` where the settings have bodies kept. `kept_size` counts all bytes that were sent."""

    def __init__(self, status: int, lines: str, body_length: int | None = None) -> None:
        StreamAnswer.__init__(self, status, lines, body_length)
        self.kept: list[bytes] = []
        self.kept_size = 0
        self._room = MAX_BYTES if is_text(self.headers.get("content-type", "")) else 0

    def send(self, data: bytes) -> None:
        before = self._body_length
        StreamAnswer.send(self, data)
        sent = self._body_length - before
        if sent:
            self.kept_size += sent
            if self._room > 0:
                self.kept.append(data if sent <= self._room else data[: self._room])
                self._room -= sent
