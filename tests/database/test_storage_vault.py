"""Sealed values open where they were sealed, under their own key, unchanged; nowhere else."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uuid6 import uuid7

from domain.errors import StorageFault
from domain.secret import Secret
from storage.keyring import Keyring, new_key
from storage.vault import DataKey, Vault, WrappedKey, decrypt, encrypt, length_prefixed
from tests.stored import new_vault

VAULT = new_vault("one", "two")
CONNECTION = uuid4()
WRAPPED = VAULT.new_data_key(CONNECTION)
KEY = VAULT.unwrap(WRAPPED)
SECRET = {"access_token": "mlcanary-at", "refresh_token": "mlcanary-rt", "scope": None}
SEALED = KEY.seal("credentials", 3, SECRET)
PARTS = st.lists(st.binary(max_size=4), max_size=5)


def test_what_was_sealed_opens_as_secrets_and_without_what_was_absent() -> None:
    opened = KEY.open("credentials", 3, SEALED)
    assert opened == {"access_token": Secret("mlcanary-at"), "refresh_token": Secret("mlcanary-rt")}
    assert b"mlcanary" not in SEALED
    assert "mlcanary" not in repr(opened)


@given(st.dictionaries(st.text(), st.text()), st.text(), st.integers(min_value=0))
def test_anything_written_can_be_sealed(secret: dict[str, str], name: str, generation: int) -> None:
    opened = KEY.open(name, generation, KEY.seal(name, generation, secret))
    assert {field: value.reveal() for field, value in opened.items()} == secret


def test_the_same_secret_is_never_sealed_alike() -> None:
    assert len({KEY.seal("credentials", 3, SECRET) for _ in range(100)}) == 100


def other_key() -> DataKey:
    return VAULT.unwrap(VAULT.new_data_key(CONNECTION))


@pytest.mark.parametrize(
    ("key", "name", "generation"),
    [
        (KEY, "credentials", 2),
        (KEY, "credentials", 4),
        (KEY, "staged", 3),
        (KEY, "credentials3", 3),
        (KEY, "", 3),
        (DataKey(KEY.id, uuid4(), KEY._key), "credentials", 3),
        (DataKey(uuid7(), CONNECTION, KEY._key), "credentials", 3),
        (DataKey(KEY.id, CONNECTION, other_key()._key), "credentials", 3),
        (other_key(), "credentials", 3),
    ],
    ids=[
        "an older generation",
        "a newer generation",
        "another column",
        "a column that runs into the generation",
        "no column",
        "another row",
        "another data key's id",
        "another data key",
        "another data key of the same connection",
    ],
)
def test_a_sealed_value_opens_nowhere_else(key: DataKey, name: str, generation: int) -> None:
    with pytest.raises(StorageFault) as fault:
        key.open(name, generation, SEALED)
    assert "mlcanary" not in str(fault.value)


def test_a_sealed_value_opens_with_no_bit_flipped() -> None:
    for position in range(len(SEALED) * 8):
        changed = bytearray(SEALED)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(StorageFault):
            KEY.open("credentials", 3, bytes(changed))


def test_a_sealed_value_opens_only_whole() -> None:
    for length in range(len(SEALED)):
        with pytest.raises(StorageFault):
            KEY.open("credentials", 3, SEALED[:length])
    for longer in (SEALED + b"\x00", b"\x01" + SEALED, SEALED * 2):
        with pytest.raises(StorageFault):
            KEY.open("credentials", 3, longer)


@given(st.binary())
def test_no_bytes_make_it_raise_anything_else(sealed: bytes) -> None:
    with pytest.raises(StorageFault):
        KEY.open("credentials", 3, sealed)


@given(st.binary(), st.binary())
def test_encryption_is_undone_by_the_same_key_in_the_same_place(
    plaintext: bytes, bound_to: bytes
) -> None:
    key = KEY._key
    assert decrypt(key, encrypt(key, plaintext, bound_to), bound_to) == plaintext


@given(PARTS, PARTS)
def test_no_two_lists_of_parts_are_joined_alike(one: list[bytes], other: list[bytes]) -> None:
    assert (length_prefixed(*one) == length_prefixed(*other)) is (one == other)


def test_parts_that_would_run_into_each_other_do_not() -> None:
    assert length_prefixed(b"a", b"bc") != length_prefixed(b"ab", b"c")
    assert length_prefixed(b"") != length_prefixed()
    assert length_prefixed(b"\x00\x00\x00\x01a") != length_prefixed(b"", b"a")


# -- wraps -------------------------------------------------------------------------------------


def test_a_data_key_is_wrapped_under_the_primary_key() -> None:
    assert (WRAPPED.key_id, WRAPPED.connection_id) == ("one", CONNECTION)
    assert VAULT.primary_id == "one"
    assert KEY._key not in WRAPPED.wrapped
    assert VAULT.unwrap(WRAPPED) == KEY


@pytest.mark.parametrize(
    "moved",
    [
        WrappedKey(WRAPPED.id, uuid4(), WRAPPED.key_id, WRAPPED.wrapped),
        WrappedKey(uuid7(), CONNECTION, WRAPPED.key_id, WRAPPED.wrapped),
        WrappedKey(WRAPPED.id, CONNECTION, "two", WRAPPED.wrapped),
        WrappedKey(WRAPPED.id, CONNECTION, "gone", WRAPPED.wrapped),
        WrappedKey(WRAPPED.id, CONNECTION, "", WRAPPED.wrapped),
        WrappedKey(WRAPPED.id, CONNECTION, WRAPPED.key_id, WRAPPED.wrapped[:-1]),
        WrappedKey(WRAPPED.id, CONNECTION, WRAPPED.key_id, b""),
        WrappedKey(WRAPPED.id, CONNECTION, WRAPPED.key_id, SEALED),
    ],
    ids=[
        "to another connection",
        "to another data key",
        "to another key of the keyring",
        "to a key that is not there",
        "to no key",
        "cut off",
        "emptied",
        "replaced by a sealed value",
    ],
)
def test_a_wrap_opens_nowhere_else(moved: WrappedKey) -> None:
    with pytest.raises(StorageFault):
        VAULT.unwrap(moved)


def test_a_wrap_opens_with_no_bit_flipped() -> None:
    for position in range(len(WRAPPED.wrapped) * 8):
        changed = bytearray(WRAPPED.wrapped)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(StorageFault):
            VAULT.unwrap(WrappedKey(WRAPPED.id, CONNECTION, WRAPPED.key_id, bytes(changed)))


def test_another_key_under_the_same_id_opens_nothing() -> None:
    with pytest.raises(StorageFault) as fault:
        new_vault("one").unwrap(WRAPPED)
    assert "does not open" in str(fault.value)


def test_a_promoted_key_wraps_what_is_new_and_rewraps_what_is_old() -> None:
    old, new = new_key("old"), new_key("new")
    before = Vault(Keyring.parse(old, "keys"))
    added = Vault(Keyring.parse(f"{old},{new}", "keys"))
    promoted = Vault(Keyring.parse(f"{new},{old}", "keys"))
    retired = Vault(Keyring.parse(new, "keys"))
    wrapped = before.new_data_key(CONNECTION)
    key = before.unwrap(wrapped)
    assert added.unwrap(wrapped) == promoted.unwrap(wrapped) == key
    assert added.new_data_key(CONNECTION).key_id == "old"
    assert promoted.new_data_key(CONNECTION).key_id == "new"
    with pytest.raises(StorageFault, match="'old' is not in the keyring"):
        retired.unwrap(wrapped)
    again = promoted.rewrap(wrapped)
    assert (again.id, again.key_id) == (wrapped.id, "new")
    assert retired.unwrap(again) == key
    with pytest.raises(StorageFault):
        before.unwrap(again)


def test_no_key_shows_itself() -> None:
    for holder in (KEY, WRAPPED, VAULT, Keyring.parse(new_key("one"), "keys")):
        shown = f"{holder!r} {holder}"
        assert KEY._key.hex() not in shown
        assert repr(KEY._key) not in shown
        assert "keys=" not in shown
