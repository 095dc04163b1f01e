"""What users give us, on its way from being staged to being stored: judged, and sealed anew."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from activities.resources import Resources
from domain.commands import ConnectProviderError
from domain.credentials import CredentialType
from domain.deadlines import Deadline, DeadlineKind, DeadlineSource
from domain.errors import InvalidInput, NotFound
from domain.secret import Secret
from providers.given import GivenRefusal
from providers.giving import given_of
from storage.claims import Purpose
from storage.credentials import SEALED_AS, Envelope
from storage.vault import DataKey

VERIFY_WITHIN: Final = timedelta(seconds=10)


async def refusal_of(
    resources: Resources, slug: str, kind: CredentialType, secret: Mapping[str, Secret]
) -> GivenRefusal | None:
    """Why this is not to be used at this provider; None if it is good."""
    if not all(name in secret for name in kind.needs):
        return GivenRefusal(ConnectProviderError.INVALID_CREDENTIALS)
    try:
        given = given_of(resources.catalogue.given(slug, kind), resources.http)
    except (NotFound, InvalidInput) as error:
        return GivenRefusal(str(error))
    return await given.refusal_of(secret, within=VERIFY_WITHIN)


def sealed(
    resources: Resources,
    slug: str,
    key: DataKey,
    secret: Mapping[str, Secret],
    *,
    generation: int,
    claim: int,
    ends_at: datetime | None,
    at: datetime,
) -> Envelope:
    """The same as it is stored, with what is known of its end and when it is verified next.

    Args:
        ends_at: the end that was told with it; its own goes before.
    """
    entry = resources.catalogue.given(slug)
    own_end = given_of(entry, resources.http).ends_at(secret)
    source = DeadlineSource.OPERATOR if own_end is None else DeadlineSource.CERTIFICATE
    end = own_end or ends_at
    return Envelope(
        connection_id=key.connection_id,
        purpose=Purpose.AUTHORIZATION,
        generation=generation,
        claim=claim,
        data_key_id=key.id,
        sealed=key.seal(
            SEALED_AS, generation, {name: value.reveal() for name, value in secret.items()}
        ),
        token_type=None,
        refreshable=False,
        sent_at=at,
        refresh_at=None if entry.verify_every is None else at + entry.verify_every,
        deadlines=() if end is None else (Deadline(DeadlineKind.ACCESS_TOKEN, end, source),),
    )
