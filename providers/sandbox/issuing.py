"""Making tokens for a grant, and the answer that hands them over (RFC 6749, 5.1).

The plaintext of a token exists only in an `Issued`, on its way out. Whether a token may be issued
at all is for `families` to say.
"""

from dataclasses import dataclass, replace
from typing import Literal

from pydantic import JsonValue

from . import canaries
from .behaviour import Behaviour
from .grants import Grant, Grants, Token


@dataclass(frozen=True)
class Issued:
    """What one call handed out. `refresh_token` is None where the client keeps the one it has."""

    scope: str
    access_token: str
    expires_in: int
    refresh_token: str | None = None
    generation: int | None = None
    refresh_expires_in: int | None = None

    def payload(self, behaviour: Behaviour) -> dict[str, JsonValue]:
        """The token answer, as far as this client's behaviour states it."""
        announced = self.refresh_expires_in if behaviour.announce_refresh_expiry else None
        said: dict[str, JsonValue] = {
            "access_token": self.access_token,
            "token_type": "Bearer",
            "expires_in": self.expires_in if behaviour.state_expires_in else None,
            "refresh_token": self.refresh_token,
            "refresh_token_expires_in": announced,
            "scope": self.scope,
        }
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True)
class Issuer:
    """Issues tokens of one grant, as its client's behaviour has it, at one moment."""

    grants: Grants
    grant: Grant
    behaviour: Behaviour
    now: float

    def access(self, scope: str, *, expired: bool = False) -> Issued:
        """An access token alone."""
        lifetime = 0 if expired else self.behaviour.access_ttl_s
        access_token = canaries.mint("at")
        self._keep(access_token, "access", scope, self.now + lifetime)
        return Issued(scope, access_token, int(lifetime))

    def pair(self, scope: str, parent: Token | None = None, *, expired: bool = False) -> Issued:
        """An access token and the family's next refresh token, obtained by presenting `parent`."""
        issued = self.access(scope, expired=expired)
        refresh_token, generation = canaries.mint("rt"), self.grant.generation + 1
        self._keep(refresh_token, "refresh", self.grant.scope, self._refresh_end(), parent)
        self.grants.advance(self.grant.id, generation)
        return replace(
            issued,
            refresh_token=refresh_token,
            generation=generation,
            refresh_expires_in=self._refresh_expires_in(),
        )

    def access_by(self, kept: Token, scope: str) -> Issued:
        """An access token for a refresh token that stays good and idles anew."""
        self.grants.prolong(kept, self._refresh_end())
        return replace(self.access(scope), refresh_expires_in=self._refresh_expires_in())

    def _refresh_end(self) -> float | None:
        idle, absolute = self.behaviour.refresh_ttl_s, self.behaviour.refresh_absolute_s
        ends = [
            *([] if idle is None else [self.now + idle]),
            *([] if absolute is None else [self.grant.created_at + absolute]),
        ]
        return min(ends, default=None)

    def _refresh_expires_in(self) -> int | None:
        ends_at = self._refresh_end()
        return None if ends_at is None else int(ends_at - self.now)

    def _keep(
        self,
        plaintext: str,
        kind: Literal["access", "refresh"],
        scope: str,
        expires_at: float | None,
        parent: Token | None = None,
    ) -> None:
        token = Token(
            digest=canaries.digest(plaintext),
            kind=kind,
            grant_id=self.grant.id,
            generation=self.grant.generation + (kind == "refresh"),
            parent=None if parent is None else parent.generation,
            scope=scope,
            issued_at=self.now,
            expires_at=expires_at,
        )
        self.grants.add_token(token)
