"""The keys of the sandbox's broker: made by its users, shown once, deleted by them."""

import secrets
import time
from dataclasses import dataclass

from . import canaries
from .store import Store


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

    def create(self, user: str) -> tuple[str, str]:
        """A new key of this user: its id, and the key itself, for once."""
        key_id, key = f"key-{secrets.token_hex(8)}", canaries.mint("key")
        self._store.run(
            "INSERT INTO keys (id, digest, user) VALUES (?, ?, ?)",
            key_id,
            canaries.digest(key),
            user,
        )
        return key_id, key

    def find(self, key: str) -> Key | None:
        """What this is a key to, dead or alive."""
        row = self._store.one("SELECT * FROM keys WHERE digest = ?", canaries.digest(key))
        if row is None:
            return None
        return Key(str(row["id"]), str(row["user"]), row["revoked_at"] is None)

    def of(self, user: str) -> list[str]:
        """The ids of a user's live keys."""
        query = "SELECT id FROM keys WHERE user = ? AND revoked_at IS NULL ORDER BY rowid"
        return [str(row["id"]) for row in self._store.all(query, (user,))]

    def revoke(self, key_id: str) -> None:
        """The user deletes it."""
        self._store.run("UPDATE keys SET revoked_at = ? WHERE id = ?", time.time(), key_id)
