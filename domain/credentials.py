"""Sealed credentials as the rest of the system may hold them: opaque bytes, a type, an end.

Nothing here can open them. What is inside, by type, is documented on ``CredentialType``.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

EXPIRING_SOON = timedelta(minutes=5)


class CredentialType(StrEnum):
    """How a provider is spoken to, and so what the sealed data holds."""

    OAUTH2 = "oauth2"
    """{access_token, refresh_token, token_type, scope, ...}"""
    API_KEY = "api_key"
    """{api_key, api_secret?}"""
    LINK_TOKEN = "link_token"
    """{access_token, item_id?, institution_id?}"""
    CERTIFICATE = "certificate"
    """{client_certificate, private_key, certificate_chain?}, all PEM"""
    FILE_IMPORT = "file_import"
    """{file_content, file_format, file_name}"""
    CUSTOM = "custom"
    """Whatever the provider's own module says."""

    @property
    def is_given(self) -> bool:
        """Whether its user gives it to us as it is: verified by us, renewed by the user alone."""
        return self in _GIVEN

    @property
    def needs(self) -> tuple[str, ...]:
        """The parts without which it is of no use here; the first one opens the data."""
        return _NEEDS.get(self, ())

    @classmethod
    def values(cls) -> list[str]:
        """All types as they are stored and sent."""
        return [kind.value for kind in cls]

    @classmethod
    def is_valid(cls, value: str) -> bool:
        """Whether ``value`` is a credential type, letter case included."""
        return value in cls.values()

    @classmethod
    def supports_refresh(cls) -> list["CredentialType"]:
        """Types that can be renewed without the user."""
        return [cls.OAUTH2, cls.LINK_TOKEN]

    @classmethod
    def never_expires(cls) -> list["CredentialType"]:
        """Types that carry no end of their own."""
        return [cls.API_KEY, cls.CERTIFICATE, cls.FILE_IMPORT]


_GIVEN = frozenset(
    {
        CredentialType.API_KEY,
        CredentialType.LINK_TOKEN,
        CredentialType.CERTIFICATE,
        CredentialType.FILE_IMPORT,
    }
)
_NEEDS = {
    CredentialType.OAUTH2: ("access_token",),
    CredentialType.API_KEY: ("api_key",),
    CredentialType.LINK_TOKEN: ("access_token",),
    CredentialType.CERTIFICATE: ("client_certificate", "private_key"),
    CredentialType.FILE_IMPORT: ("file_content", "file_format", "file_name"),
}


@dataclass(frozen=True, repr=False)
class ProviderCredentials:
    """Sealed credentials of one connection; hashable, compared by value.

    Attributes:
        encrypted_data: ciphertext; never empty, never shown.
        credential_type: what kind of secret is sealed.
        expires_at: aware instant at which it stops working; None = never.

    Raises:
        ValueError: empty or non-``bytes`` data, a type that is not the enum, a naive expiry.
    """

    encrypted_data: bytes
    credential_type: CredentialType
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.encrypted_data, bytes):
            raise ValueError("encrypted_data must be bytes")
        if not self.encrypted_data:
            raise ValueError("encrypted_data must not be empty")
        if not isinstance(self.credential_type, CredentialType):
            raise ValueError("credential_type must be a CredentialType")
        if self.expires_at is not None and not _is_aware(self.expires_at):
            raise ValueError("expires_at must be a timezone-aware datetime")

    def is_expired(self, *, at: datetime | None = None) -> bool:
        """Whether the end has come (``at``: the clock, default now)."""
        return self.is_expiring_soon(timedelta(0), at=at)

    def is_expiring_soon(
        self, threshold: timedelta = EXPIRING_SOON, *, at: datetime | None = None
    ) -> bool:
        """Whether the end comes within ``threshold``; False without an end."""
        if self.expires_at is None:
            return False
        # A difference of two instants always exists; an instant less a threshold may not.
        return self.expires_at - (at or datetime.now(UTC)) <= threshold

    def time_until_expiry(self, *, at: datetime | None = None) -> timedelta | None:
        """What is left, never negative; None without an end."""
        if self.expires_at is None:
            return None
        return max(self.expires_at - (at or datetime.now(UTC)), timedelta(0))

    def supports_refresh(self) -> bool:
        """Whether this type can be renewed without the user."""
        return self.credential_type in CredentialType.supports_refresh()

    def __repr__(self) -> str:
        expires = self.expires_at.isoformat() if self.expires_at else None
        return (
            f"ProviderCredentials(credential_type={self.credential_type.value}, "
            f"expires_at={expires}, encrypted_data=<{len(self.encrypted_data)} bytes>)"
        )

    def __str__(self) -> str:
        state = "expired" if self.is_expired() else "valid"
        return f"ProviderCredentials({self.credential_type.value}, {state})"


def _is_aware(value: object) -> bool:
    return isinstance(value, datetime) and value.utcoffset() is not None
