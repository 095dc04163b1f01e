"""What a user has granted, and the tokens that live off it, as records.

Reads and writes; the rules of which token is good for what are in `families`.
"""

import secrets
from typing import Literal

from pydantic import BaseModel

from . import canaries
from .store import Store, Value

RevokedBy = Literal["client", "user", "reuse", "code_replay"]

# A grant is alive while anything of it still works: a refresh token or an unexpired access token.
FACTS = """
SELECT g.*, g.revoked_by IS NULL AND EXISTS (
    SELECT 1 FROM tokens t WHERE t.grant_id = g.id
    AND t.revoked_at IS NULL AND t.superseded_at IS NULL
    AND (t.expires_at IS NULL OR t.expires_at > ?)
) AS live FROM grants g
"""


class Grant(BaseModel):
    """A user's permission for one app; also the facts that the control API tells of it."""

    id: str
    client_id: str
    user: str
    scope: str
    live: bool
    revoked_by: RevokedBy | None
    revoked_at: float | None
    refreshes: int
    generation: int
    """Number of the newest refresh token; 0 where none was issued."""
    created_at: float
    refreshed_at: float | None


class Token(BaseModel):
    """An access or refresh token without the token. `parent`: the generation it was obtained by."""

    digest: str
    kind: Literal["access", "refresh"]
    grant_id: str
    generation: int
    parent: int | None = None
    scope: str
    issued_at: float
    expires_at: float | None
    superseded_at: float | None = None
    revoked_at: float | None = None

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now


class Grants:
    """The table of grants with the table of their tokens."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, client_id: str, user: str, scope: str, now: float) -> str:
        grant_id = f"grant-{secrets.token_hex(8)}"
        self._store.run(
            "INSERT INTO grants (id, client_id, user, scope, created_at) VALUES (?, ?, ?, ?, ?)",
            grant_id,
            client_id,
            user,
            scope,
            now,
        )
        return grant_id

    def get(self, grant_id: str, now: float) -> Grant | None:
        row = self._store.one(f"{FACTS} WHERE g.id = ?", now, grant_id)
        return None if row is None else Grant.model_validate(row)

    def all(self, now: float, user: str | None = None) -> list[Grant]:
        """Oldest first, of one user or of all."""
        rows = self._store.all(
            f"{FACTS} WHERE g.user = ifnull(?, g.user) ORDER BY g.rowid", (now, user)
        )
        return [Grant.model_validate(row) for row in rows]

    def end(self, grant_id: str, by: RevokedBy, now: float) -> None:
        """Everything of the grant is dead from here on; the first cause stays on record."""
        self._store.run(
            "UPDATE grants SET revoked_by = ?, revoked_at = ? WHERE id = ? AND revoked_by IS NULL",
            by,
            now,
            grant_id,
        )

    def count_refresh(self, grant_id: str, now: float) -> None:
        self._store.run(
            "UPDATE grants SET refreshes = refreshes + 1, refreshed_at = ? WHERE id = ?",
            now,
            grant_id,
        )

    def advance(self, grant_id: str, generation: int) -> None:
        self._store.run("UPDATE grants SET generation = ? WHERE id = ?", generation, grant_id)

    def find_token(self, plaintext: str) -> Token | None:
        sought = canaries.digest(plaintext)
        row = self._store.one("SELECT * FROM tokens WHERE digest = ?", sought)
        return None if row is None else Token.model_validate(row)

    def add_token(self, token: Token) -> None:
        values: dict[str, Value] = token.model_dump()
        marks = ", ".join("?" * len(values))
        self._store.run(
            f"INSERT INTO tokens ({', '.join(values)}) VALUES ({marks})", *values.values()
        )

    def successors(self, token: Token) -> list[Token]:
        """The refresh tokens that were obtained by presenting this one."""
        rows = self._store.all(
            "SELECT * FROM tokens WHERE grant_id = ? AND kind = 'refresh' AND parent = ?",
            (token.grant_id, token.generation),
        )
        return [Token.model_validate(row) for row in rows]

    def supersede(self, token: Token, now: float) -> None:
        """The token was used up; so are the siblings that were issued in its stead."""
        self._store.run(
            "UPDATE tokens SET superseded_at = ? WHERE grant_id = ? AND kind = 'refresh'"
            " AND parent IS ? AND superseded_at IS NULL",
            now,
            token.grant_id,
            token.parent,
        )

    def prolong(self, token: Token, expires_at: float | None) -> None:
        self._store.run(
            "UPDATE tokens SET expires_at = ? WHERE digest = ?", expires_at, token.digest
        )

    def revoke_token(self, token: Token, now: float) -> None:
        self._store.run("UPDATE tokens SET revoked_at = ? WHERE digest = ?", now, token.digest)
