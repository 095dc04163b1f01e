"""The rules of a token family: what each presented token is, and what presenting it does.

Pure over the records it is handed and the time it is told; callers hold one transaction around each
call, so that reading, checking and rotating cannot interleave. Knows no HTTP.

What a refresh token can be:

- `current`: issued and not used up. Good for a refresh. Rotating, it is used up and a successor
  (next generation) takes its place; with rotation "none" it stays what it is.
- `previous_in_grace` (rotation "grace" only): used up at most `grace_s` ago, and none of the
  successors it was exchanged for has been used. Presenting it again answers a *new pair*: one more
  successor, a sibling of those issued before, because the client evidently did not get the first
  answer. All siblings are current until one is used; that uses up the others. The window counts
  from the first use and re-presenting does not extend it.
- `rotated_out`: used up, and not in grace: strict rotation, the window is over, a successor was
  used, an older ancestor, or a sibling of a used token. Presenting it is reuse: nobody can tell
  the thief from the owner, so the whole family dies (`revoked_by: "reuse"`), access tokens too.
- `revoked`: its family was ended by the client, the user, reuse or a replayed code. When it was the
  user, the answer says so (`access_revoked`), but never to a token that is rotated out as well.
- `expired`: past its idle or absolute lifetime. Refused, and nothing else happens.
- `unknown`: never issued, issued to another client, or not a refresh token.
"""

from dataclasses import dataclass
from typing import Literal

from .clients import Client
from .grants import Grant, Grants, Token
from .issuing import Issued, Issuer

Presented = Literal[
    "current",
    "previous_in_grace",
    "rotated_out",
    "revoked",
    "expired",
    "unknown",
    "code",
    "code_replayed",
    "live",
]


@dataclass(frozen=True)
class Verdict:
    """What was presented, what came of it, and whether a refusal is to name the user's will."""

    presented: Presented
    grant_id: str | None = None
    issued: Issued | None = None
    acted: bool = False
    rotated: bool = False
    refused: str | None = None
    access_revoked: bool = False


@dataclass(frozen=True)
class Families:
    """The rules for one client's families, at one moment."""

    grants: Grants
    client: Client
    now: float

    def begin(self, user: str, scope: str, *, expired: bool = False) -> tuple[str, Issued]:
        """A user said yes: a new grant with its first tokens (the access token perhaps expired)."""
        grant_id = self.grants.create(self.client.client_id, user, scope, self.now)
        issuer = self._issuer(self._grant(grant_id))
        if not self.client.behaviour.issue_refresh_token:
            return grant_id, issuer.access(scope, expired=expired)
        return grant_id, issuer.pair(scope, expired=expired)

    def refresh(self, plaintext: str, scope: str | None) -> Verdict:
        """Present a refresh token; on success the family is one refresh older."""
        token = self.grants.find_token(plaintext)
        if token is None or token.kind != "refresh":
            return Verdict("unknown", refused="invalid_grant")
        grant = self._grant(token.grant_id)
        if grant.client_id != self.client.client_id:
            return Verdict("unknown", refused="invalid_grant")
        presented = self._classify(token, grant)
        if presented not in ("current", "previous_in_grace"):
            return self._refuse(presented, grant)
        wanted = scope or grant.scope
        if not set(wanted.split()) <= set(grant.scope.split()):
            return Verdict(presented, grant.id, refused="invalid_scope")
        return self._renew(token, grant, presented, wanted)

    def revoke(self, plaintext: str) -> Verdict:
        """RFC 7009. Only a token that is still good for something ends anything."""
        token = self.grants.find_token(plaintext)
        if token is None:
            return Verdict("unknown")
        grant = self._grant(token.grant_id)
        if grant.client_id != self.client.client_id:
            return Verdict("unknown", refused="invalid_request")
        if token.kind == "access":
            presented = access_state(token, grant, self.now)
            self.grants.revoke_token(token, self.now)
            return Verdict(presented, grant.id, acted=presented == "live")
        presented = self._classify(token, grant)
        good = presented in ("current", "previous_in_grace")
        if good:
            self.grants.end(grant.id, "client", self.now)
        return Verdict(presented, grant.id, acted=good)

    def _classify(self, token: Token, grant: Grant) -> Presented:
        in_grace = self._in_grace(token)
        if token.superseded_at is not None and not in_grace:
            return "rotated_out"
        if grant.revoked_by is not None:
            return "revoked"
        if token.expired(self.now):
            return "expired"
        return "previous_in_grace" if in_grace else "current"

    def _in_grace(self, token: Token) -> bool:
        behaviour = self.client.behaviour
        if behaviour.rotation != "grace" or token.superseded_at is None:
            return False
        if self.now - token.superseded_at > behaviour.grace_s:
            return False
        successors = self.grants.successors(token)
        return bool(successors) and all(each.superseded_at is None for each in successors)

    def _refuse(self, presented: Presented, grant: Grant) -> Verdict:
        if presented == "rotated_out":
            self.grants.end(grant.id, "reuse", self.now)
        by_user = presented == "revoked" and grant.revoked_by == "user"
        return Verdict(presented, grant.id, refused="invalid_grant", access_revoked=by_user)

    def _renew(self, token: Token, grant: Grant, presented: Presented, scope: str) -> Verdict:
        self.grants.count_refresh(grant.id, self.now)
        if self.client.behaviour.rotation == "none":
            issued = self._issuer(grant).access_by(token, scope)
            return Verdict(presented, grant.id, issued, acted=True)
        self.grants.supersede(token, self.now)
        issued = self._issuer(grant).pair(scope, parent=token)
        return Verdict(presented, grant.id, issued, acted=True, rotated=True)

    def _issuer(self, grant: Grant) -> Issuer:
        return Issuer(self.grants, grant, self.client.behaviour, self.now)

    def _grant(self, grant_id: str) -> Grant:
        grant = self.grants.get(grant_id, self.now)
        if grant is None:
            raise LookupError(f"{grant_id} has tokens but no record")
        return grant


def access_state(token: Token, grant: Grant, now: float) -> Presented:
    """What an access token is at this moment."""
    if grant.revoked_by is not None or token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expired(now) else "live"
