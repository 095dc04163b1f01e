"""OAuth 2.0 as a client speaks it: authorization code with PKCE, refresh, revocation.

RFC 6749, 7636 (S256 only), 7009 and 9207. Each call is one request, sent at most once; whether to
send it again is not decided here.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from urllib.parse import quote, urlencode

import httpx

from domain.outcomes import Revocation
from domain.secret import Secret
from providers.classifier import Answer, classify, worded
from providers.entry import OAuth2Entry
from providers.token_answers import parse_object
from providers.transport import NoReply, Reply, post_form

NO_SUCH_ENDPOINT = frozenset({404, 405, 501})


def always() -> bool:
    """Permission to send for calls that may be repeated at will."""
    return True


class OAuth2:
    """One provider, spoken to with our registration there."""

    def __init__(self, entry: OAuth2Entry, http: httpx.AsyncClient) -> None:
        self.entry = entry
        self._http = http

    async def exchange_code(
        self,
        *,
        code: Secret,
        verifier: Secret,
        redirect_uri: str,
        within: timedelta,
        may_send: Callable[[], bool] = always,
    ) -> Answer:
        """Exchange an authorization code. Never again with the same code: that revokes tokens."""
        form = {
            "grant_type": "authorization_code",
            "code": code.reveal(),
            "redirect_uri": redirect_uri,
            "code_verifier": verifier.reveal(),
        }
        reply = await self._post(self.entry.token_url, form, within, may_send)
        return classify(reply, self.entry.refusals)

    async def refresh(
        self,
        refresh_token: Secret,
        *,
        within: timedelta,
        may_send: Callable[[], bool] = always,
    ) -> Answer:
        """Present a refresh token once."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()}
        reply = await self._post(self.entry.token_url, form, within, may_send)
        return classify(reply, self.entry.refusals)

    async def revoke(
        self,
        token: Secret,
        hint: str,
        *,
        within: timedelta,
        may_send: Callable[[], bool] = always,
    ) -> Revocation | Answer:
        """Revoke a token (RFC 7009): what became of it, or why it is to be tried again.

        ``hint`` is ``refresh_token`` or ``access_token``. Revoking is idempotent: an unknown
        token is a revoked one. A page of a proxy in between says nothing, whatever its status.
        """
        if self.entry.revoke_url is None:
            return Revocation.UNSUPPORTED
        form = {"token": token.reveal(), "token_type_hint": hint}
        reply = await self._post(self.entry.revoke_url, form, within, may_send)
        if isinstance(reply, Reply) and not reply.is_page:
            fields = parse_object(reply.body, reply.headers.get("content-type", "")) or {}
            refused = worded(fields, self.entry.refusals) is not None
            # RFC 7009 has an unknown token answered with 200; some say 400 invalid_token instead.
            gone = reply.status == 400 and fields.get("error") == "invalid_token"
            if gone or (200 <= reply.status < 300 and not refused):
                return Revocation.REVOKED
            unsupported = fields.get("error") == "unsupported_token_type"
            if unsupported or (reply.status in NO_SUCH_ENDPOINT and not refused):
                return Revocation.UNSUPPORTED
        answer = classify(reply, self.entry.refusals)
        return Revocation.REVOKED if answer.outcome.ends_grant else answer

    async def _post(
        self, url: str, form: Mapping[str, str], within: timedelta, may_send: Callable[[], bool]
    ) -> Reply | NoReply:
        client = self.entry.client_app()
        fields, headers = dict(form), {}
        if client.authentication == "client_secret_basic" and client.secret is not None:
            # RFC 6749, 2.3.1: each part is form-encoded before the two are joined.
            pair = f"{quote(client.client_id, safe='')}:{quote(client.secret.reveal(), safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            fields["client_id"] = client.client_id
            if client.secret is not None:
                fields["client_secret"] = client.secret.reveal()
        return await post_form(
            self._http, url, fields, headers=headers, within=within, may_send=may_send
        )


def authorization_url(
    entry: OAuth2Entry, *, redirect_uri: str, state: Secret, verifier: Secret
) -> str:
    """Where to send the user's browser. Carries ``state``: not for logs or histories.

    Raises:
        NotConfigured: the client id is missing.
    """
    params = {
        **entry.authorize_params,
        "response_type": "code",
        "client_id": entry.client_app().client_id,
        "redirect_uri": redirect_uri,
        "scope": entry.scope_separator.join(entry.scopes),
        "state": state.reveal(),
        "code_challenge": code_challenge(verifier),
        "code_challenge_method": "S256",
    }
    separator = "&" if "?" in entry.authorize_url else "?"
    query = urlencode({name: value for name, value in params.items() if value})
    return f"{entry.authorize_url}{separator}{query}"


def new_secret() -> Secret:
    """64 random bytes, URL-safe: a ``state``, or a PKCE verifier (86 characters)."""
    return Secret(secrets.token_urlsafe(64))


def code_challenge(verifier: Secret) -> str:
    """The S256 challenge of a verifier (RFC 7636, 4.2)."""
    digest = hashlib.sha256(verifier.reveal().encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
