"""The version of Anthropic's API that is spoken: the only one there has been since, and the API wants one named."""

VERSION_LINE = b"anthropic-version: 2023-06-01\r\n"
