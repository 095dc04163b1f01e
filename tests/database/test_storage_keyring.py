"""Reading keys: each named, all of them whole, none of them shown when something is wrong."""

import base64
from pathlib import Path

import pytest

from domain.errors import NotConfigured, StorageFault
from storage.keyring import KEY_BYTES, Keyring, new_key


def encoded(length: int = KEY_BYTES, byte: int = 0xA7) -> str:
    return base64.b64encode(bytes([byte]) * length).decode()


MATERIAL = encoded()


def refused(text: str) -> str:
    with pytest.raises(NotConfigured) as refusal:
        Keyring.parse(text, "MOORLINE_KEYS")
    message = str(refusal.value)
    assert "MOORLINE_KEYS" in message
    assert MATERIAL.rstrip("=") not in message
    assert MATERIAL[:12] not in message
    return message


def test_the_first_key_is_primary_and_all_are_found_by_id() -> None:
    other = encoded(byte=0x11)
    ring = Keyring.parse(f"new:{MATERIAL},old:{other}", "keys")
    assert ring.primary_id == "new"
    assert (ring.get("new"), ring.get("old")) == (b"\xa7" * 32, b"\x11" * 32)
    assert Keyring.parse(f"old:{other},new:{MATERIAL}", "keys").primary_id == "old"


@pytest.mark.parametrize("text", ["\n{}\n", " {} , ", "{},", ",{}", "{}\n\n"])
def test_blanks_around_entries_do_not_matter(text: str) -> None:
    ring = Keyring.parse(text.format(f"one:{MATERIAL}"), "keys")
    assert ring.get("one") == b"\xa7" * 32


@pytest.mark.parametrize("text", ["", " ", ",", "\n,\n"])
def test_no_key_is_a_refusal(text: str) -> None:
    assert "without keys nothing is stored" in refused(text)


@pytest.mark.parametrize("length", [0, 1, 16, 31, 33, 64])
def test_a_key_of_another_length_is_named_with_its_length(length: int) -> None:
    assert f"'one' has {length} bytes, not 32" in refused(f"one:{encoded(length)}")


@pytest.mark.parametrize(
    "material",
    [
        MATERIAL[:-2],
        MATERIAL.replace("=", "!"),
        MATERIAL + "\u00e9",
        f"{MATERIAL[:20]} {MATERIAL[20:]}",
    ],
)
def test_what_is_no_base64_is_named_and_not_shown(material: str) -> None:
    assert "'one' is not base64" in refused(f"one:{material}")


@pytest.mark.parametrize(
    "text",
    [
        MATERIAL,
        f":{MATERIAL}",
        f"a b:{MATERIAL}",
        f"one;{MATERIAL}",
        f"{MATERIAL}:one",
        f"{MATERIAL.rstrip('=')}:one",
        f"{'a7' * 32}:one",
        f"{'i' * 33}:{MATERIAL}",
    ],
    ids=["no id", "an empty id", "a blank", "no colon", "reversed", "bug", "bug hex", "a long id"],
)
def test_bug_a_key_in_the_place_of_its_id_was_shown(text: str) -> None:
    message = refused(text)
    assert "entry 1 is not of the form id:base64" in message
    assert "a7a7" not in message


def test_the_number_of_the_wrong_entry_is_told() -> None:
    assert "entry 2" in refused(f"one:{MATERIAL},{MATERIAL}")


def test_an_id_stands_there_once() -> None:
    assert "'one' stands there twice" in refused(f"one:{MATERIAL},one:{encoded(byte=1)}")


def test_an_unknown_key_is_named() -> None:
    ring = Keyring.parse(f"one:{MATERIAL}", "keys")
    with pytest.raises(StorageFault, match="'two' is not in the keyring"):
        ring.get("two")
    with pytest.raises(StorageFault) as fault:
        ring.get("x" * 500)
    assert "x" * 65 not in str(fault.value)


def test_keys_can_stand_in_a_file_one_to_a_line(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"one:{MATERIAL}\ntwo:{encoded(byte=1)}\n")
    ring = Keyring.parse(f"file:{file}", "keys")
    assert (ring.primary_id, sorted(ring.keys)) == ("one", ["one", "two"])


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xa7", b"", b"\n"])
def test_a_file_that_is_missing_no_text_or_empty_is_a_refusal(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    refused(f"file:{file}")


def test_a_folder_in_the_place_of_the_key_file_is_a_refusal(tmp_path: Path) -> None:
    assert str(tmp_path) in refused(f"file:{tmp_path}")


def test_new_keys_are_random_and_can_be_read() -> None:
    made = [new_key("one") for _ in range(10)]
    keys = {Keyring.parse(text, "keys").get("one") for text in made}
    assert len(keys) == 10
    assert all(len(key) == KEY_BYTES for key in keys)


def test_a_keyring_shows_no_key() -> None:
    ring = Keyring.parse(f"one:{MATERIAL}", "keys")
    assert repr(ring) == "Keyring(primary_id='one')"
