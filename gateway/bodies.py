"""No body is long: what is longer is refused before it is read, whoever sends it."""

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.problems import Refused, problem

LONGEST: Final = 64 << 10
"""Bytes. The longest honest body of most requests is far shorter."""
LONGEST_BROUGHT: Final = 2 << 20
"""Credentials that are brought may be a whole file, written as JSON."""


class ShortBodies:
    """Middleware: a body of the API says how long it is, and is short."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        refused = _refusal(scope) if scope["type"] == "http" else None
        if refused is None:
            await self._app(scope, receive, send)
        else:
            await problem(refused)(scope, receive, send)


def _refusal(scope: Scope) -> Refused | None:
    headers = Headers(scope=scope)
    if scope["path"].startswith("/codec/"):
        return None  # counts for itself: payloads may be long
    if "transfer-encoding" in headers:
        return Refused(411, "length-required", "the request must say how long its body is")
    length, most = headers.get("content-length", "0"), _most(scope["path"])
    if not length.isdecimal() or (most is not None and int(length) > most):
        return Refused(413, "too-large", f"a body has at most {most} bytes")
    return None


def _most(path: str) -> int | None:
    """How many bytes a body may have here; None: it counts for itself."""
    if path.startswith("/give/"):
        return None  # a page tells its reader in its own way
    is_brought = path.startswith("/v1/connections/") and path.endswith("/credentials")
    return LONGEST_BROUGHT if is_brought else LONGEST
