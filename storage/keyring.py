"""Named keys, in order: the first encrypts, all decrypt, each is found by its id.

Used for the keys that wrap data keys (``MOORLINE_KEYS``) and for those of Temporal payloads
(``MOORLINE_PAYLOAD_KEYS``). Never tries one key after another, never shows key material.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from domain.errors import NotConfigured, StorageFault

KEY_BYTES = 32
_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")
"""Shorter than any key is when written out: what stands in the place of an id is shown in errors,
and must not be the key itself."""


@dataclass(frozen=True)
class Keyring:
    """An ordered set of 256-bit keys by id."""

    primary_id: str
    keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str, setting: str) -> "Keyring":
        """Read ``id:base64,id:base64``, or ``file:/path`` of a file that holds such a line.

        Args:
            setting: what to call it in errors.

        Raises:
            NotConfigured: nothing there, a key that is not 32 bytes of base64, an id twice.
        """
        if text.startswith("file:"):
            path = Path(text.removeprefix("file:"))
            try:
                text = path.read_text()
            except (OSError, ValueError) as error:  # ValueError: not text
                problem = type(error).__name__
                raise NotConfigured(
                    f"{setting}: the key file {path} cannot be read ({problem})"
                ) from None
        entries = [entry.strip() for entry in text.replace("\n", ",").split(",") if entry.strip()]
        if not entries:
            raise NotConfigured(f"{setting} is not set: without keys nothing is stored")
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(entries, start=1):
            key_id, key = _parse_entry(entry, number, setting)
            if key_id in keys:
                raise NotConfigured(f"{setting}: the key id {key_id!r} stands there twice")
            keys[key_id] = key
        return cls(primary_id=next(iter(keys)), keys=keys)

    def get(self, key_id: str) -> bytes:
        """The key of this id.

        Raises:
            StorageFault: there is no such key; the message names the id.
        """
        if key_id not in self.keys:
            raise StorageFault(f"the key {key_id[:64]!r} is not in the keyring")
        return self.keys[key_id]


def new_key(key_id: str) -> str:
    """A fresh random entry for a keyring, as text."""
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


def _parse_entry(entry: str, number: int, setting: str) -> tuple[str, bytes]:
    key_id, colon, encoded = entry.partition(":")
    if not colon or not _ID.fullmatch(key_id):
        # Not echoed: without a proper id, what stands here may be the key itself.
        raise NotConfigured(f"{setting}: entry {number} is not of the form id:base64")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise NotConfigured(f"{setting}: the key {key_id!r} is not base64") from None
    if len(key) != KEY_BYTES:
        raise NotConfigured(f"{setting}: the key {key_id!r} has {len(key)} bytes, not {KEY_BYTES}")
    return key_id, key
