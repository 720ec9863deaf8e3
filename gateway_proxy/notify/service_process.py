"""The process that talks to one notification service: messages in by standard input, the error of each out.

What apprise itself would say may hold the URL's credentials, so only fixed words leave this process.
"""

import json
import logging
import sys
from typing import IO


def main(source: IO[bytes], target: IO[bytes]) -> None:
    """Read `{"url", "messages": [{"title", "body", "kind"}]}`, send, write a list with "" for each that was taken."""
    request = json.load(source)
    messages = request["messages"]
    import apprise

    logging.disable(logging.CRITICAL)
    service = apprise.Apprise()
    if service.add(request["url"]):
        errors = [
            ""
            if service.notify(title=message["title"], body=message["body"], notify_type=message["kind"])
            else "the service did not take it"
            for message in messages
        ]
    else:
        errors = ["the URL is not one of a known notification service"] * len(messages)
    target.write(json.dumps(errors).encode())
    target.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
