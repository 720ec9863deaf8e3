"""A fake OpenAI-compatible provider that keeps its own books.

It promises an independent ground truth: what it was asked, what it generated, what it would bill. So it imports nothing of
the gateway, and the gateway imports nothing of it; the two meet over HTTP only.
"""
