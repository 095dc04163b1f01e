"""Authorization codes: single use, 60 seconds, bound to client, redirect address and challenge.

Using one a second time means that somebody else may hold what the first use gave out, so it ends
that grant (RFC 6749, 4.1.2). Codes are kept as digests only.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass

from pydantic import BaseModel

from . import canaries
from .families import Families, Verdict
from .store import Store

LIFETIME_S = 60


class Code(BaseModel):
    """A code as it is stored; `grant_id` is what its first use gave."""

    digest: str
    client_id: str
    user: str
    redirect_uri: str
    challenge: str
    scope: str
    expires_at: float
    grant_id: str | None = None

    def fits(self, redirect_uri: str, verifier: str) -> bool:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        same_challenge = hmac.compare_digest(challenge.rstrip(b"="), self.challenge.encode())
        return same_challenge and redirect_uri == self.redirect_uri


@dataclass(frozen=True)
class Codes:
    """The codes that were given out."""

    store: Store

    def issue(
        self, client_id: str, user: str, redirect_uri: str, challenge: str, scope: str, now: float
    ) -> str:
        plaintext = canaries.mint("code")
        self.store.run(
            "INSERT INTO codes VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
            canaries.digest(plaintext),
            client_id,
            user,
            redirect_uri,
            challenge,
            scope,
            now + LIFETIME_S,
        )
        return plaintext

    def exchange(
        self, families: Families, plaintext: str, redirect_uri: str, verifier: str
    ) -> Verdict:
        """Trade a code for a grant. A refused attempt leaves the code as it was."""
        code = self._find(plaintext)
        if code is None or code.client_id != families.client.client_id:
            return Verdict("unknown", refused="invalid_grant")
        if code.grant_id is not None:
            families.grants.end(code.grant_id, "code_replay", families.now)
            return Verdict("code_replayed", code.grant_id, refused="invalid_grant")
        if code.expires_at <= families.now:
            return Verdict("expired", refused="invalid_grant")
        if not code.fits(redirect_uri, verifier):
            return Verdict("code", refused="invalid_grant")
        grant_id, issued = families.begin(code.user, code.scope)
        self.store.run("UPDATE codes SET grant_id = ? WHERE digest = ?", grant_id, code.digest)
        return Verdict("code", grant_id, issued, acted=True)

    def _find(self, plaintext: str) -> Code | None:
        sought = canaries.digest(plaintext)
        row = self.store.one("SELECT * FROM codes WHERE digest = ?", sought)
        return None if row is None else Code.model_validate(row)
