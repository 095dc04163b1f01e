"""Envelope encryption: a data key per connection seals its secrets; the keyring wraps data keys.

Every sealed value is bound to where it belongs (connection, field, generation, data key), so that
a row, a column or an old generation put in its place does not open. AES-256-GCM throughout, keys
looked up by id. Destroying a data key makes everything it ever sealed unreadable.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from uuid6 import uuid7

from domain.errors import StorageFault
from domain.secret import Secret
from storage.keyring import KEY_BYTES, Keyring

FORMAT = b"\x01"
NONCE_BYTES = 12


@dataclass(frozen=True)
class WrappedKey:
    """A data key as it is stored: useless without the key of the keyring that wraps it."""

    id: UUID
    connection_id: UUID
    key_id: str
    wrapped: bytes = field(repr=False)


@dataclass(frozen=True)
class DataKey:
    """An opened data key. Lives as long as one call, and is never kept."""

    id: UUID
    connection_id: UUID
    _key: bytes = field(repr=False)

    def seal(self, name: str, generation: int, secret: Mapping[str, str | None]) -> bytes:
        """Seal a document of strings as the field ``name`` of this generation."""
        plaintext = json.dumps(dict(secret), separators=(",", ":")).encode()
        return encrypt(self._key, plaintext, self._bound_to(name, generation))

    def open(self, name: str, generation: int, sealed: bytes) -> dict[str, Secret]:
        """Open what was sealed as this field of this generation; absent values are left out.

        Raises:
            StorageFault: it was sealed elsewhere, with another key, or has been changed.
        """
        plaintext = decrypt(self._key, sealed, self._bound_to(name, generation))
        return {k: Secret(v) for k, v in json.loads(plaintext).items() if v is not None}

    def _bound_to(self, name: str, generation: int) -> bytes:
        return length_prefixed(
            FORMAT, self.connection_id.bytes, name.encode(), str(generation).encode(), self.id.bytes
        )


class Vault:
    """Makes, wraps and unwraps data keys with the keyring it was given."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    @property
    def primary_id(self) -> str:
        """The id of the key that wraps new data keys."""
        return self._keyring.primary_id

    def new_data_key(self, connection_id: UUID) -> WrappedKey:
        """A fresh data key for a connection, wrapped."""
        return self._wrap(uuid7(), connection_id, secrets.token_bytes(KEY_BYTES))

    def unwrap(self, wrapped: WrappedKey) -> DataKey:
        """Open a data key.

        Raises:
            StorageFault: its key is not in the keyring, or the row is not what it was.
        """
        bound_to = _wrap_bound_to(wrapped.id, wrapped.connection_id, wrapped.key_id)
        key = decrypt(self._keyring.get(wrapped.key_id), wrapped.wrapped, bound_to)
        return DataKey(wrapped.id, wrapped.connection_id, key)

    def rewrap(self, wrapped: WrappedKey) -> WrappedKey:
        """The same data key under the primary key; what it seals is not touched."""
        return self._wrap(wrapped.id, wrapped.connection_id, self.unwrap(wrapped)._key)

    def _wrap(self, data_key_id: UUID, connection_id: UUID, key: bytes) -> WrappedKey:
        primary = self._keyring.primary_id
        bound_to = _wrap_bound_to(data_key_id, connection_id, primary)
        sealed = encrypt(self._keyring.get(primary), key, bound_to)
        return WrappedKey(data_key_id, connection_id, primary, sealed)


def encrypt(key: bytes, plaintext: bytes, bound_to: bytes) -> bytes:
    """Format byte, random nonce, AES-256-GCM ciphertext with tag."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return FORMAT + nonce + AESGCM(key).encrypt(nonce, plaintext, bound_to)


def decrypt(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    """Undo ``encrypt``.

    Raises:
        StorageFault: unknown format, wrong key, wrong place, or changed; never says which.
    """
    nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    if sealed[:1] != FORMAT or len(nonce) != NONCE_BYTES:
        raise StorageFault("a sealed value has an unknown format")
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, bound_to)
    except InvalidTag:
        raise StorageFault("a sealed value does not open") from None


def length_prefixed(*parts: bytes) -> bytes:
    """Parts joined so that no two different lists give the same bytes."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _wrap_bound_to(data_key_id: UUID, connection_id: UUID, key_id: str) -> bytes:
    return length_prefixed(
        FORMAT, b"data-key", connection_id.bytes, data_key_id.bytes, key_id.encode()
    )
