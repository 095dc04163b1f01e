"""A strict OAuth 2.0 authorization server of our own, by which tests and the demo judge our client.

It exists because a client is only as trustworthy as the counterpart it was tried against: this one
rotates, refuses reuse, fails on demand, and keeps a ground-truth log of what really happened.
It listens on loopback only and must never learn anything about Moorline: no import from another
room, no knowledge of workflows or storage. `app` assembles it, `serving` runs it, `control`
documents how a test or the demo steers it.
"""

from .app import create_app

__all__ = ["create_app"]
