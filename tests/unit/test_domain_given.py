"""What users give, in words: each kind by its own name, wherever it is spoken of."""

import pytest

from domain.credentials import CredentialType
from domain.outcomes import Outcome
from domain.status import StatusReason
from domain.words import CAUSE, GIVEN, WHY, cause, one, option, why

KIND = CredentialType


def test_every_kind_that_is_given_has_a_name_and_parts_and_no_other_has_a_name() -> None:
    given = {kind for kind in KIND if kind.is_given}
    assert given == set(GIVEN) == {*KIND} - {KIND.OAUTH2, KIND.CUSTOM}
    assert all(kind.needs for kind in given)


@pytest.mark.parametrize(
    ("kind", "named", "given_by"),
    [
        (KIND.API_KEY, "an API key", "--api-key-stdin"),
        (KIND.LINK_TOKEN, "a link token", "--link-token-stdin"),
        (KIND.CERTIFICATE, "a certificate", "--certificate-stdin"),
        (KIND.FILE_IMPORT, "a file", "--file-stdin"),
    ],
)
def test_a_kind_is_called_what_people_call_it(
    kind: CredentialType, named: str, given_by: str
) -> None:
    assert (one(kind), option(kind)) == (named, given_by)


def test_why_it_is_no_good_is_said_of_the_kind() -> None:
    refused = StatusReason.KEY_REFUSED
    assert why(refused, KIND.CERTIFICATE).startswith("the provider refuses the certificate")
    assert why(refused, KIND.FILE_IMPORT) == "the file cannot be read."
    ended = StatusReason.NOT_REFRESHABLE
    assert why(ended, KIND.CERTIFICATE) == "the certificate has reached its end."
    assert why(ended, KIND.OAUTH2) == WHY[ended]
    assert cause(Outcome.KEY_REFUSED, KIND.LINK_TOKEN) == "the provider refuses the link token"
    assert cause(Outcome.TRANSIENT, KIND.LINK_TOKEN) == CAUSE[Outcome.TRANSIENT]
