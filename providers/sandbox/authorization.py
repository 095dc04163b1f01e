"""The authorization request: what is asked, whether it may be, and where the browser goes next.

One code for the pages and for the headless control call, so that both judge alike. Shows nothing
and knows no sessions. A bad client or redirect address is never answered by a redirect.
"""

import re
import time
from dataclasses import dataclass
from urllib.parse import urlencode

from .clients import Client
from .forms import Form
from .sandbox import Sandbox

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
SCOPE = re.compile(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*")
DEFAULT_SCOPE = "profile"


class Unanswerable(Exception):
    """There is no trustworthy address to answer to: only the person in front can be told."""


@dataclass(frozen=True)
class ReturnAddress:
    """Where the browser is sent back to, with what RFC 6749 and RFC 9207 have it carry."""

    redirect_uri: str
    state: str | None
    issuer: str

    def with_code(self, code: str) -> str:
        return self._with({"code": code})

    def with_error(self, error: str, description: str) -> str:
        return self._with({"error": error, "error_description": description})

    def _with(self, answer: dict[str, str]) -> str:
        state = {} if self.state is None else {"state": self.state}
        joint = "&" if "?" in self.redirect_uri else "?"
        return self.redirect_uri + joint + urlencode({**answer, **state, "iss": self.issuer})


class SentBack(Exception):
    """The request is wrong in a way that the app is told, by a redirect to `location`."""

    def __init__(self, address: ReturnAddress, error: str, description: str) -> None:
        super().__init__(error)
        self.location = address.with_error(error, description)


@dataclass(frozen=True)
class AuthorizationRequest:
    """A request that passed every check and waits for a person's decision."""

    client: Client
    address: ReturnAddress
    scope: str
    challenge: str

    @classmethod
    def read(cls, sandbox: Sandbox, query: str, issuer: str) -> "AuthorizationRequest":
        form = Form.parse(query)
        client = _client(sandbox, form)
        address = _address(client, form, issuer)
        _check(form, address)
        scope, challenge = form.get("scope") or DEFAULT_SCOPE, form.get("code_challenge")
        return cls(client, address, scope, challenge or "")

    def decide(self, sandbox: Sandbox, user: str, *, allow: bool) -> str:
        """Where the browser goes, now that the user has decided."""
        if not allow:
            return self.address.with_error("access_denied", "The user did not allow access.")
        code = sandbox.codes.issue(
            self.client.client_id,
            user,
            self.address.redirect_uri,
            self.challenge,
            self.scope,
            time.time(),
        )
        return self.address.with_code(code)


def _client(sandbox: Sandbox, form: Form) -> Client:
    client = sandbox.clients.find(form.get("client_id"))
    if client is None or "client_id" in form.repeated:
        raise Unanswerable("The app that sent you here is not known.")
    return client


def _address(client: Client, form: Form, issuer: str) -> ReturnAddress:
    uri = form.get("redirect_uri")
    if uri is None or "redirect_uri" in form.repeated or not client.allows_redirect(uri):
        raise Unanswerable("The app wants you sent to an address that it has not registered.")
    state = None if "state" in form.repeated else form.get("state")
    return ReturnAddress(uri, state, issuer)


def _check(form: Form, address: ReturnAddress) -> None:
    wrong = _first_wrong(form)
    if wrong is not None:
        raise SentBack(address, *wrong)


def _first_wrong(form: Form) -> tuple[str, str] | None:
    response_type, scope = form.get("response_type"), form.get("scope")
    if form.repeated:
        return "invalid_request", "A parameter is repeated."
    if response_type is None:
        return "invalid_request", "The response_type is missing."
    if response_type != "code":
        return "unsupported_response_type", "Only the response type code is offered."
    if not CHALLENGE.fullmatch(form.get("code_challenge") or ""):
        return "invalid_request", "A code_challenge is required (PKCE, RFC 7636)."
    if form.get("code_challenge_method") != "S256":
        return "invalid_request", "The code_challenge_method must be S256."
    if scope is not None and not SCOPE.fullmatch(scope):
        return "invalid_scope", "The scope is malformed."
    return None
