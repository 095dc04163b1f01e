"""The pages of a connect session, for the user's browser: ask, go to the provider, come back.

Server-rendered, constant but for names; nothing a provider sends is shown, and no secret of ours
stands in an address.
"""

import asyncio
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from client.connections import ConnectionsClient
from client.refusals import NotVerified
from domain.credentials import CredentialType
from domain.errors import Conflict, InvalidInput, MoorlineError
from domain.status import StatusReason
from domain.words import GIVEN, why
from gateway.confirming import Confirmations
from gateway.floods import Floods
from gateway.forms import TooLong, read_form
from gateway.notices import (
    NOT_OURS,
    failed,
    nothing_here,
    on_to,
    out_of_order,
    sentence,
    wrong_form,
)
from gateway.options import Options
from gateway.problems import Refused
from gateway.rendering import message, page, see_other
from gateway.sessions import Sessions, Shown

PATIENCE_S: Final = 5
"""How long a result page waits for the result before it is shown as under way."""
COOKIE_LIFE_S: Final = 3600
"""Longer than a link works and its result is shown: what is over, the database's clock says."""


def connecting_routes(
    sessions: Sessions,
    confirmations: Confirmations,
    connections: ConnectionsClient,
    options: Options,
    floods: Floods,
) -> APIRouter:
    """The pages. None of them is part of the API."""
    router = APIRouter(include_in_schema=False)
    pages = _Pages(sessions, confirmations, connections, options, floods)
    router.add_api_route("/connect/{link}", pages.ask, methods=["GET"])
    router.add_api_route("/connect/{link}", pages.go, methods=["POST"])
    router.add_api_route("/give/{session_id}", pages.ask_for_it, methods=["GET"])
    router.add_api_route("/give/{session_id}", pages.take, methods=["POST"])
    router.add_api_route("/callback/{slug}", pages.come_back, methods=["GET"])
    router.add_api_route("/connected/{session_id}", pages.tell, methods=["GET"])
    return router


class _Pages:
    def __init__(
        self,
        sessions: Sessions,
        confirmations: Confirmations,
        connections: ConnectionsClient,
        options: Options,
        floods: Floods,
    ) -> None:
        self._sessions = sessions
        self._confirmations = confirmations
        self._connections = connections
        self._options = options
        self._floods = floods

    async def ask(self, link: str) -> Response:
        """Who asks, which provider, what for. Looking at it uses nothing up."""
        try:
            shown = await self._sessions.of_link(link)
            offer = self._connections.offer(shown.connection.provider_slug)
        except MoorlineError as error:
            return failed(error)
        return page(
            "ask.html",
            application=self._options.application,
            provider=offer.name,
            scopes=offer.scopes,
            kind=offer.credential_type.value,
            again=shown.connection.connected_at is not None,
            action=f"/connect/{link}",
        )

    async def go(self, link: str, request: Request) -> Response:
        """The user goes on: this browser, and no other from now on."""
        if not self._is_our_own_form(request):
            return wrong_form()
        try:
            # Where to comes first: a link that is bound leads on, or its only browser is lost.
            answer = await self._onward(await self._sessions.of_link(link))
            shown, cookie = await self._sessions.open(link, request.cookies)
        except Conflict as taken:
            return message(409, "This link cannot be used", sentence(taken))
        except MoorlineError as error:
            return failed(error)
        row = shown.session
        answer.set_cookie(
            self._sessions.cookie_name(row.id),
            cookie,
            max_age=COOKIE_LIFE_S,
            path="/",
            secure=self._options.is_secure,
            httponly=True,
            samesite="lax",
        )
        return answer

    async def _onward(self, shown: Shown) -> Response:
        row = shown.session
        if row.attempt_id is None:
            return see_other(f"/give/{row.id}")
        url = await self._connections.provider_url(row.attempt_id)
        provider = self._connections.offer(shown.connection.provider_slug).name
        return on_to(url, provider)

    async def ask_for_it(self, session_id: UUID, request: Request) -> Response:
        """The form for what the provider works by."""
        try:
            shown = await self._of_browser(session_id, request)
        except MoorlineError as error:
            return failed(error)
        return self._form(shown) if _kind_of(shown).is_given else nothing_here()

    def _form(self, shown: Shown, problem: str = "", status: int = 200) -> Response:
        if shown.session.finished_at is not None:
            return see_other(f"/connected/{shown.session.id}")
        kind = _kind_of(shown)
        return page(
            "give.html",
            status,
            application=self._options.application,
            provider=self._connections.offer(shown.connection.provider_slug).name,
            kind=kind.value,
            given=GIVEN[kind],
            action=f"/give/{shown.session.id}",
            problem=problem,
        )

    async def take(self, session_id: UUID, request: Request) -> Response:
        """The user has filled in the form; it is never shown again, also where it was wrong."""
        if not self._is_our_own_form(request):
            return wrong_form()
        cookie = self._cookie(session_id, request) or ""
        try:
            shown = await self._of_browser(session_id, request)
            if not _kind_of(shown).is_given:
                return nothing_here()
            self._floods.take_given(shown.connection.id)
            # Whoever is not of this session has not made us read anything.
            problem, status = await self._taken(shown, cookie, request)
            shown = await self._of_browser(session_id, request)
        except Refused:
            return message(429, "Too many tries", "Wait a minute, and then go back and try again.")
        except MoorlineError as error:
            return failed(error)
        if problem:
            return self._form(shown, problem, status)
        back = self._sessions.way_back(shown.session, cookie)
        if back is None:
            return see_other(f"/connected/{shown.session.id}")
        return on_to(back, self._options.application)

    async def _taken(self, shown: Shown, cookie: str, request: Request) -> tuple[str, int]:
        """Have it used, or kept; what is wrong with it, as a sentence and a status."""
        try:
            secret = await read_form(request, _kind_of(shown))
            await self._sessions.take(shown, cookie, secret)
        except TooLong as refused:
            return sentence(refused), 413
        except InvalidInput as refused:
            return sentence(refused), 422
        except Conflict as refused:
            return sentence(refused), 409
        except NotVerified as refused:
            return sentence(refused), 503
        return "", 200

    async def come_back(self, slug: str, request: Request) -> Response:
        """The provider has sent the browser back. HEAD, as previews send it, uses nothing up."""
        address = f"{self._options.public_url}/callback/{slug}?{request.url.query}"
        try:
            session_id = await self._sessions.come_back(address, dict(request.cookies))
        except NOT_OURS:
            return message(
                400,
                "This page was not expected",
                "It belongs to nothing that was begun in this browser, or its time is over. "
                "Begin again where you came from.",
            )
        except MoorlineError:
            return out_of_order()
        return see_other(f"/connected/{session_id}")

    async def tell(self, session_id: UUID, request: Request) -> Response:
        """How it went; or back to the application, which confirms its user first."""
        try:
            shown = await self._settled(session_id, request)
        except MoorlineError as error:
            return failed(error)
        row, cookie = shown.session, self._cookie(session_id, request) or ""
        provider = self._connections.offer(shown.connection.provider_slug).name
        if (back := self._sessions.way_back(row, cookie)) is not None and (
            row.finished_at is not None or row.proof_hash is not None
        ):
            return see_other(back)
        if row.finished_at is None:
            return page("working.html", refresh="2", provider=provider)
        if row.reason is not None:
            said = why(StatusReason(row.reason), _kind_of(shown))
            return page("failed.html", provider=provider, why=said)
        return page("done.html", provider=provider, application=self._options.application)

    async def _settled(self, session_id: UUID, request: Request) -> Shown:
        """The session once it is finished, or as it is after a while."""
        shown = await self._of_browser(session_id, request)
        self._confirmations.take_up(shown.session)
        for _ in range(PATIENCE_S * 10):
            row = shown.session
            if row.finished_at is not None or row.proof_hash is not None:
                break
            await asyncio.sleep(0.1)
            shown = await self._of_browser(session_id, request)
        return shown

    async def _of_browser(self, session_id: UUID, request: Request) -> Shown:
        return await self._sessions.of_browser(session_id, self._cookie(session_id, request))

    def _cookie(self, session_id: UUID, request: Request) -> str | None:
        return request.cookies.get(self._sessions.cookie_name(session_id))

    def _is_our_own_form(self, request: Request) -> bool:
        """Not one that another site has sent: it could bind a victim's browser to its session."""
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        return request.headers.get("origin") == self._options.public_url


def _kind_of(shown: Shown) -> CredentialType:
    return CredentialType(shown.connection.credential_type)
