"""API keys of the gateway: made and shown once, kept as hashes, compared in constant time."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import NotFound
from domain.roles import Role
from domain.secret import Secret
from storage.gateway_tables import ApiKeyRow

PREFIX: Final = "moorline"
_NOBODY: Final = bytes(32)
"""Compared with where no key has the id: an unknown id takes as long as a wrong secret."""


def create(session: AsyncSession, role: Role, name: str, at: datetime) -> tuple[ApiKeyRow, Secret]:
    """A new key: its row, and the key itself, which cannot be shown again."""
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    row = ApiKeyRow(id=key_id, role=role, name=name, hash=_hash(secret), created_at=at)
    session.add(row)
    return row, Secret(f"{PREFIX}_{key_id}_{secret}")


async def verify(session: AsyncSession, presented: Secret) -> ApiKeyRow | None:
    """The key that was presented; None if it is none of ours, or was revoked."""
    prefix, _, rest = presented.reveal().partition("_")
    key_id, _, secret = rest.partition("_")
    row = (await session.exec(_BY_ID, params={"id": key_id})).first() if key_id.isalnum() else None
    matches = hmac.compare_digest(row.hash if row else _NOBODY, _hash(secret))
    if row is None or not matches or prefix != PREFIX or row.revoked_at is not None:
        return None
    return row


async def is_good(session: AsyncSession, key_id: str) -> bool:
    """Whether a key that was verified before would be so now."""
    row = (await session.exec(_BY_ID, params={"id": key_id})).first()
    return row is not None and row.revoked_at is None


async def all_keys(session: AsyncSession) -> Sequence[ApiKeyRow]:
    """Every key, revoked ones included, in the order they were made."""
    return (await session.exec(select(ApiKeyRow).order_by(col(ApiKeyRow.created_at)))).all()


async def revoke(session: AsyncSession, key_id: str, at: datetime) -> ApiKeyRow:
    """Have a key open nothing any more, from the commit on; again, it changes nothing.

    Raises:
        NotFound: there is no such key.
    """
    known = key_id.isalnum()  # others are no ids, and the database refuses some
    row = await session.get(ApiKeyRow, key_id, with_for_update=True) if known else None
    if row is None:
        raise NotFound(f"no API key {key_id[:50]!r}")
    row.revoked_at = row.revoked_at or at
    return row


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


# Built once: it is run for every request.
_BY_ID: Final = select(ApiKeyRow).where(ApiKeyRow.id == bindparam("id"))
