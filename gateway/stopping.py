"""A gateway that stops and cannot finish an answer says so, instead of breaking it off."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.problems import SOON_S, Refused, problem


class Farewells:
    """Middleware: what is cancelled because the server stops is answered by a 503."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; answer for what was cancelled before it had begun to answer."""
        has_begun_to_answer = False

        async def noting(message: Message) -> None:
            nonlocal has_begun_to_answer
            has_begun_to_answer = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except asyncio.CancelledError:
            if scope["type"] != "http" or has_begun_to_answer or not is_stopping(scope):
                raise
            await problem(_away())(scope, receive, send)


def is_stopping(scope: Scope) -> bool:
    """Whether the server has been told to stop: see ``moorline.listening``."""
    return bool(getattr(scope["app"].state, "stopping", False))


def _away() -> Refused:
    headers = {"Retry-After": str(SOON_S)}
    return Refused(503, "unreachable", "the gateway is being stopped; ask again", headers=headers)
