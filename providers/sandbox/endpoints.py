"""`/token` and `/revoke`: how they are asked over HTTP and how they answer.

What tokens and codes are worth is in `families` and `codes`; logging and faults are in `calls`.
"""

import re
import time

from .answers import Answer, Refused, error_answer
from .behaviour import Behaviour
from .calls import Decision, WatchedCall
from .clients import Claim, Client
from .families import Families, Verdict
from .forms import Form
from .sandbox import Sandbox
from .target import Target
from .wire import Wire

GRANT_TYPES = ("authorization_code", "refresh_token")
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
SENTENCES = {
    "invalid_grant": "The token or code is not valid.",
    "invalid_scope": "More was asked for than the user granted.",
    "invalid_request": "The token was issued to another client.",
}


def answer_to(verdict: Verdict, behaviour: Behaviour) -> Answer:
    """What the client is told."""
    if verdict.refused is not None:
        subtype = "access_revoked" if verdict.access_revoked else None
        return error_answer(verdict.refused, SENTENCES[verdict.refused], subtype=subtype)
    return Answer(payload=None if verdict.issued is None else verdict.issued.payload(behaviour))


def read_form(wire: Wire) -> Form:
    """The form of a request to the token or revocation endpoint, strictly."""
    media_type = wire.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise Refused("invalid_request", "The body is not application/x-www-form-urlencoded.")
    form = lenient_form(wire)
    if form.repeated:
        raise Refused("invalid_request", "A parameter is repeated.")
    return form


def lenient_form(wire: Wire) -> Form:
    return Form.parse(wire.body.decode(errors="replace"))


class ClientCall(WatchedCall):
    """A call that an app makes in its own name."""

    def authenticated(self, wire: Wire, form: Form) -> Client:
        claim = Claim.read(wire.request.headers.get("authorization"), form)
        return self.sandbox.clients.authenticate(claim)

    def families_of(self, client: Client) -> Families:
        return Families(self.sandbox.grants, client, time.time())

    def claimed(self, wire: Wire, form: Form) -> str | None:
        """The registered client that the call says it comes from, true or not."""
        try:
            claim = Claim.read(wire.request.headers.get("authorization"), form)
        except Refused:
            return None
        client = self.sandbox.clients.find(claim.client_id)
        return None if client is None else client.client_id


def grant_of(sandbox: Sandbox, token: str | None) -> str | None:
    known = None if token is None else sandbox.grants.find_token(token)
    return None if known is None else known.grant_id


class TokenCall(ClientCall):
    """RFC 6749, 3.2."""

    def target(self, wire: Wire) -> Target:
        form = lenient_form(wire)
        grant_type = form.get("grant_type")
        return Target(
            endpoint="token",
            client_id=self.claimed(wire, form),
            grant_id=grant_of(self.sandbox, form.get("refresh_token")),
            grant_type=grant_type if grant_type in GRANT_TYPES else None,
        )

    def decide(self, wire: Wire) -> Decision:
        form = read_form(wire)
        client = self.authenticated(wire, form)
        verdict = self._present(form, self.families_of(client))
        return Decision(answer_to(verdict, client.behaviour), verdict, verdict.refused)

    def _present(self, form: Form, families: Families) -> Verdict:
        match form.require("grant_type"):
            case "refresh_token":
                return families.refresh(form.require("refresh_token"), form.get("scope"))
            case "authorization_code":
                return self._exchange(form, families)
            case _:
                raise Refused("unsupported_grant_type", "This grant type is not offered.")

    def _exchange(self, form: Form, families: Families) -> Verdict:
        code, redirect_uri = form.require("code"), form.require("redirect_uri")
        verifier = form.require("code_verifier")
        if not VERIFIER.fullmatch(verifier):
            raise Refused("invalid_request", "The code_verifier is malformed.")
        return self.sandbox.codes.exchange(families, code, redirect_uri, verifier)


class RevokeCall(ClientCall):
    """RFC 7009."""

    def target(self, wire: Wire) -> Target:
        form = lenient_form(wire)
        return Target(
            endpoint="revoke",
            client_id=self.claimed(wire, form),
            grant_id=grant_of(self.sandbox, form.get("token")),
        )

    def decide(self, wire: Wire) -> Decision:
        form = read_form(wire)
        client = self.authenticated(wire, form)
        if not client.behaviour.revocation_supported:
            return Decision(Answer(404, raw="Not Found", media_type="text/plain"))
        verdict = self.families_of(client).revoke(form.require("token"))
        return Decision(answer_to(verdict, client.behaviour), verdict, verdict.refused)
