"""What people do in their browser: log in, allow or deny an app, take access away again.

Each form carries a token against CSRF, and each step checks the authorization request anew. What
is allowed is decided in `authorization`; how it looks is in `templates`.
"""

import time

from starlette.requests import Request
from starlette.responses import Response

from .authorization import AuthorizationRequest, SentBack, Unanswerable
from .export import export
from .forms import Form
from .keys import Kind
from .rendering import COOKIE, HEADERS, found, page, remembering, see_other
from .sandbox import Sandbox
from .sessions import PASSWORD, USERS, Session

MAKES: dict[str | None, Kind] = {"new_key": "key", "new_link": "link"}
"""What a button of the account page makes."""


class Pages:
    """`/authorize` and `/account`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def authorize(self, request: Request) -> Response:
        session = self._session(request)
        issuer = self._sandbox.issuer_at(str(request.base_url))
        try:
            asked = AuthorizationRequest.read(self._sandbox, request.url.query, issuer)
        except Unanswerable as problem:
            return page(session, "problem.html", 400, problem=str(problem))
        except SentBack as back:
            return found(back.location)
        if request.method == "POST":
            return await self._decide(request, session, asked)
        return self._consent(request, session, asked)

    async def account(self, request: Request) -> Response:
        session = self._session(request)
        if request.method == "POST":
            return await self._change(request, session)
        if session.user is None:
            return self._login(request, session)
        return self._show_account(session, session.user)

    async def export(self, request: Request) -> Response:
        """The user's transactions, as a file to be given elsewhere."""
        session = self._session(request)
        if session.user is None:
            return see_other("/account")
        headers = {**HEADERS, "Content-Disposition": 'attachment; filename="transactions.csv"'}
        with self._sandbox.store.transaction():
            text = export(self._sandbox.finances, session.user, time.time())
        return Response(text, headers=headers, media_type="text/csv")

    def _show_account(self, session: Session, user: str, new_key: str = "") -> Response:
        grants = self._sandbox.grants.all(time.time(), user)
        apps = [(grant, self._name(grant.client_id)) for grant in grants if grant.live]
        keys = self._sandbox.keys.of(user)
        return page(session, "account.html", apps=apps, keys=keys, new_key=new_key)

    def _consent(self, request: Request, session: Session, asked: AuthorizationRequest) -> Response:
        if session.user is None:
            return self._login(request, session)
        return page(session, "consent.html", asked=asked, action=_here(request))

    async def _decide(
        self, request: Request, session: Session, asked: AuthorizationRequest
    ) -> Response:
        form = await _form(request)
        if session.user is None or form.get("action") not in ("allow", "deny"):
            return self._enter_or_leave(request, session, form)
        if not session.sent(form.get("csrf")):
            return _stale(session)
        allow = form.get("action") == "allow"
        return found(asked.decide(self._sandbox, session.user, allow=allow))

    async def _change(self, request: Request, session: Session) -> Response:
        form = await _form(request)
        action = form.get("action")
        if session.user is None or action not in ("take_away", *MAKES, "delete_key"):
            return self._enter_or_leave(request, session, form)
        if not session.sent(form.get("csrf")):
            return _stale(session)
        if action in MAKES:
            # Shown in the answer itself: a redirect would have to carry it, or to remember it.
            _, new_key = self._sandbox.keys.create(session.user, MAKES[action])
            return self._show_account(session, session.user, new_key)
        if action == "delete_key":
            key_id = form.get("key") or ""
            if key_id in self._sandbox.keys.of(session.user):
                self._sandbox.keys.revoke(key_id)
            return see_other(_here(request))
        now = time.time()
        grant = self._sandbox.grants.get(form.get("grant") or "", now)
        if grant is not None and grant.user == session.user:
            self._sandbox.grants.end(grant.id, "user", now)
        return see_other(_here(request))

    def _enter_or_leave(self, request: Request, session: Session, form: Form) -> Response:
        if not session.sent(form.get("csrf")):
            return _stale(session)
        if form.get("action") == "login":
            return self._enter(request, session, form)
        self._sandbox.sessions.log_out(session)
        return remembering(self._sandbox.sessions.find(None), see_other(_here(request)))

    def _enter(self, request: Request, session: Session, form: Form) -> Response:
        user, password = form.get("username") or "", form.get("password") or ""
        entered = self._sandbox.sessions.log_in(user, password)
        if entered is None:
            return self._login(request, session, "That user name and password do not match.")
        return remembering(entered, see_other(_here(request)))

    def _login(self, request: Request, session: Session, problem: str = "") -> Response:
        return page(
            session,
            "login.html",
            403 if problem else 200,
            action=_here(request),
            problem=problem,
            users=USERS,
            password=PASSWORD,
        )

    def _name(self, client_id: str) -> str:
        client = self._sandbox.clients.find(client_id)
        return client_id if client is None else client.name

    def _session(self, request: Request) -> Session:
        return self._sandbox.sessions.find(request.cookies.get(COOKIE))


def _here(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


async def _form(request: Request) -> Form:
    return Form.parse((await request.body()).decode(errors="replace"))


def _stale(session: Session) -> Response:
    problem = "This form is no longer valid. Go back, reload the page and try again."
    return page(session, "problem.html", 403, problem=problem)
