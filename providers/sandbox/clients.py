"""The apps that may ask users for access: who they are, where users are sent back, how treated.

Holds registration, exact redirect matching and client authentication. Knows no tokens.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import unquote_plus, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Json

from . import canaries
from .answers import Refused
from .behaviour import Behaviour
from .forms import Form
from .store import Store

LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::[0-9]{1,5})?(/.*)", re.ASCII)


def _registrable(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname or "#" in uri:
        raise ValueError("a redirect URI is an absolute http(s) URI without a fragment")
    if not re.fullmatch(r"[!-~]+", uri) or "\\" in uri or "@" in parts.netloc:
        raise ValueError("a redirect URI has no spaces, control characters or user information")
    return uri


RedirectUri = Annotated[str, AfterValidator(_registrable)]


class Registration(BaseModel):
    """What the control API is told about an app. No secret: a public client."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: str | None = None
    secret: str | None = None
    redirect_uris: list[RedirectUri]
    behaviour: Behaviour = Behaviour()


class Client(BaseModel):
    """An app as it is stored."""

    client_id: str
    name: str
    secret_digest: str | None
    redirect_uris: Json[list[str]]
    behaviour: Json[Behaviour]

    def allows_redirect(self, uri: str) -> bool:
        """Exact match, but any port for a registered loopback address (RFC 8252, 7.3)."""
        return any(uri == known or _same_but_port(known, uri) for known in self.redirect_uris)


def _same_but_port(known: str, uri: str) -> bool:
    here, there = LOOPBACK.fullmatch(known), LOOPBACK.fullmatch(uri)
    return here is not None and there is not None and here.groups() == there.groups()


BUILT_IN = {
    "moorline-dev": Registration(
        name="Moorline (development)",
        secret="mlcanary-secret-dev",  # published, and good for this sandbox only
        redirect_uris=["http://127.0.0.1/callback", "http://127.0.0.1/callback/sandbox"],
    ),
    "moorline-public": Registration(
        name="Moorline (public client)", redirect_uris=["http://127.0.0.1/callback"]
    ),
}


class Clients:
    """The registered apps."""

    def __init__(self, store: Store) -> None:
        self._store = store
        for client_id, registration in BUILT_IN.items():
            known = self.find(client_id)
            if known is None or known.redirect_uris != registration.redirect_uris:
                self.register(client_id, registration)

    def register(self, client_id: str, registration: Registration) -> None:
        """Create the app, or replace it; its users' grants stay."""
        secret = registration.secret
        self._store.run(
            "INSERT OR REPLACE INTO clients VALUES (?, ?, ?, ?, ?)",
            client_id,
            registration.name or client_id,
            None if secret is None else canaries.digest(secret),
            json.dumps(registration.redirect_uris),
            registration.behaviour.model_dump_json(),
        )

    def find(self, client_id: str | None) -> Client | None:
        row = self._store.one("SELECT * FROM clients WHERE client_id = ?", client_id)
        return None if row is None else Client.model_validate(row)

    def behave(self, client_id: str, behaviour: Behaviour) -> None:
        self._store.run(
            "UPDATE clients SET behaviour = ? WHERE client_id = ?",
            behaviour.model_dump_json(),
            client_id,
        )

    def change_secret(self, client_id: str, secret: str) -> None:
        self._store.run(
            "UPDATE clients SET secret_digest = ? WHERE client_id = ?",
            canaries.digest(secret),
            client_id,
        )

    def authenticate(self, claim: "Claim") -> Client:
        """The app that made the request, or `invalid_client`."""
        client = self.find(claim.client_id)
        if client is None or (client.secret_digest is None) != (claim.secret is None):
            raise Refused("invalid_client", "Client authentication failed.", 401)
        if client.secret_digest and not canaries.same(claim.secret or "", client.secret_digest):
            raise Refused("invalid_client", "Client authentication failed.", 401)
        return client


@dataclass(frozen=True)
class Claim:
    """Who a request says it comes from, and what it offers as proof."""

    client_id: str | None
    secret: str | None = None

    @classmethod
    def read(cls, authorization: str | None, form: Form) -> "Claim":
        """By HTTP Basic or in the body (RFC 6749, 2.3.1), never both."""
        in_body = cls(form.get("client_id"), form.get("client_secret"))
        if authorization is None:
            return in_body
        by_basic = cls._from_basic(authorization)
        if in_body.secret is not None or in_body.client_id not in (None, by_basic.client_id):
            raise Refused("invalid_request", "Only one way of client authentication may be used.")
        return by_basic

    @classmethod
    def _from_basic(cls, authorization: str) -> "Claim":
        scheme, _, credentials = authorization.partition(" ")
        try:
            text = base64.b64decode(credentials.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        if scheme.lower() != "basic" or ":" not in text:
            raise Refused("invalid_client", "The Authorization header is not HTTP Basic.", 401)
        client_id, _, secret = text.partition(":")
        # Both halves are form-urlencoded before they are joined, so a "%3A" is not a colon.
        return cls(unquote_plus(client_id), unquote_plus(secret) or None)
