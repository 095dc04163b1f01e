"""The contract's names are where it says, and its enums and constants say what it says."""

import re
from enum import Enum
from importlib import import_module

import pytest

from domain.commands import ConnectProviderError
from domain.credentials import CredentialType
from domain.errors import MoorlineError, ProviderConnectionError
from domain.status import ALLOWED_FROM, ConnectionStatus, may_become

NAMES = {
    "domain.connection": ["ProviderConnection"],
    "domain.status": ["ConnectionStatus"],
    "domain.credentials": ["ProviderCredentials", "CredentialType"],
    "domain.errors": ["ProviderConnectionError"],
    "domain.result": ["Success", "Failure", "Result"],
    "domain.commands": [
        "ConnectProvider",
        "DisconnectProvider",
        "RefreshProviderTokens",
        "ConnectProviderError",
    ],
    "domain.events": [
        "DomainEvent",
        "ProviderConnectionAttempted",
        "ProviderConnectionSucceeded",
        "ProviderConnectionFailed",
        "ProviderDisconnectionAttempted",
        "ProviderDisconnectionSucceeded",
        "ProviderDisconnectionFailed",
        "ProviderTokenRefreshAttempted",
        "ProviderTokenRefreshSucceeded",
        "ProviderTokenRefreshFailed",
    ],
}
S, T = ConnectionStatus, CredentialType


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in NAMES.items() for name in names]
)
def test_every_name_is_importable_from_where_the_contract_says(module: str, name: str) -> None:
    assert hasattr(import_module(module), name)


@pytest.mark.parametrize("enum", [ConnectionStatus, CredentialType])
def test_enums_are_strings_with_lower_case_values(enum: type[Enum]) -> None:
    for member in enum:
        assert isinstance(member, str)
        assert member == member.value == member.name.lower()


def test_there_are_six_statuses_in_the_contracts_order() -> None:
    assert ConnectionStatus.values() == [
        "pending",
        "active",
        "expired",
        "revoked",
        "failed",
        "disconnected",
    ]


def test_there_are_six_credential_types_in_the_contracts_order() -> None:
    assert CredentialType.values() == [
        "oauth2",
        "api_key",
        "link_token",
        "certificate",
        "file_import",
        "custom",
    ]


@pytest.mark.parametrize("enum", [ConnectionStatus, CredentialType])
def test_values_are_plain_strings_in_a_new_list_each_time(
    enum: type[ConnectionStatus | CredentialType],
) -> None:
    enum.values().clear()
    assert len(enum.values()) == 6
    assert all(type(value) is str for value in enum.values())


@pytest.mark.parametrize("enum", [ConnectionStatus, CredentialType])
def test_is_valid_knows_every_value_and_letter_case(
    enum: type[ConnectionStatus | CredentialType],
) -> None:
    for value in enum.values():
        assert enum.is_valid(value) is True
        assert enum.is_valid(value.upper()) is False
        assert enum.is_valid(f" {value}") is False
    assert enum.is_valid("") is False
    assert enum.is_valid("unheard_of") is False


def test_statuses_are_grouped_as_the_contract_says() -> None:
    assert ConnectionStatus.active_states() == [S.ACTIVE]
    assert ConnectionStatus.needs_reauth_states() == [S.EXPIRED, S.REVOKED, S.FAILED]
    assert ConnectionStatus.terminal_states() == [S.DISCONNECTED]


def test_credential_types_are_grouped_as_the_contract_says() -> None:
    assert CredentialType.supports_refresh() == [T.OAUTH2, T.LINK_TOKEN]
    assert CredentialType.never_expires() == [T.API_KEY, T.CERTIFICATE, T.FILE_IMPORT]


def test_the_transition_table_is_the_contracts() -> None:
    allowed = {(now, then) for now in S for then in S if may_become(now, then)}
    assert allowed == {
        (S.PENDING, S.ACTIVE),
        (S.EXPIRED, S.ACTIVE),
        (S.REVOKED, S.ACTIVE),
        (S.FAILED, S.ACTIVE),
        (S.PENDING, S.FAILED),
        (S.ACTIVE, S.EXPIRED),
        (S.ACTIVE, S.REVOKED),
        *((status, S.DISCONNECTED) for status in S),
    }
    assert set(ALLOWED_FROM) == set(S)


CONNECTION_ERRORS = [
    "INVALID_STATE_TRANSITION",
    "CANNOT_TRANSITION_TO_ACTIVE",
    "CANNOT_TRANSITION_TO_EXPIRED",
    "CANNOT_TRANSITION_TO_REVOKED",
    "CANNOT_TRANSITION_TO_FAILED",
    "CREDENTIALS_REQUIRED",
    "INVALID_CREDENTIALS",
    "INVALID_PROVIDER_SLUG",
    "INVALID_ALIAS",
    "NOT_CONNECTED",
    "CREDENTIALS_EXPIRED",
    "CONNECTION_DISCONNECTED",
    "ACTIVE_WITHOUT_CREDENTIALS",
]


@pytest.mark.parametrize(
    ("holder", "name"),
    [
        *((ProviderConnectionError, name) for name in CONNECTION_ERRORS),
        (ConnectProviderError, "INVALID_CREDENTIALS"),
        (ConnectProviderError, "INVALID_PROVIDER_SLUG"),
    ],
)
def test_every_error_is_a_sentence_for_people(holder: type, name: str) -> None:
    text = getattr(holder, name)
    assert type(text) is str
    assert text[0].isupper()
    assert " " in text
    assert "_" not in text


def test_no_two_errors_of_a_connection_read_the_same() -> None:
    texts = {getattr(ProviderConnectionError, name) for name in CONNECTION_ERRORS}
    assert len(texts) == len(CONNECTION_ERRORS)


def test_the_exceptions_of_all_rooms_are_the_eight_that_their_root_draws() -> None:
    leaves = {leaf.__name__ for leaf in MoorlineError.__subclasses__()}
    drawn = re.findall(r"[├└]── (\w+)", MoorlineError.__doc__ or "")
    assert len(drawn) == 8
    assert leaves == set(drawn)
