"""What users of the sandbox carry elsewhere: keys of its broker, and tokens of linked accounts.

Made by them, shown once, deleted by them. The id says which of the two it is.
"""

import secrets
import time
from dataclasses import dataclass
from typing import Literal

from . import canaries
from .store import Store

Kind = Literal["key", "link"]


@dataclass(frozen=True)
class Key:
    """A key without the key."""

    id: str
    user: str
    live: bool


class Keys:
    """The table of keys, as digests."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, user: str, kind: Kind = "key") -> tuple[str, str]:
        """A new key of this user: its id, and the key itself, for once."""
        key_id, key = f"{kind}-{secrets.token_hex(8)}", canaries.mint(kind)
        self._store.run(
            "INSERT INTO keys (id, digest, user) VALUES (?, ?, ?)",
            key_id,
            canaries.digest(key),
            user,
        )
        return key_id, key

    def find(self, key: str, kind: Kind = "key") -> Key | None:
        """What this is a key to, dead or alive."""
        row = self._store.one("SELECT * FROM keys WHERE digest = ?", canaries.digest(key))
        if row is None or not str(row["id"]).startswith(f"{kind}-"):
            return None
        return Key(str(row["id"]), str(row["user"]), row["revoked_at"] is None)

    def of(self, user: str) -> list[str]:
        """The ids of a user's live keys and link tokens."""
        query = "SELECT id FROM keys WHERE user = ? AND revoked_at IS NULL ORDER BY rowid"
        return [str(row["id"]) for row in self._store.all(query, (user,))]

    def revoke(self, key_id: str) -> None:
        """The user deletes it."""
        self._store.run("UPDATE keys SET revoked_at = ? WHERE id = ?", time.time(), key_id)
