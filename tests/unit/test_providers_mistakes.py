"""Mistakes in an entry are told as a person would: the line, the field, what it must be."""

from pathlib import Path

import pytest

from domain.errors import NotConfigured
from providers.catalogue import Catalogue

GOOD = """slug: example
name: Example
type: oauth2
authorize_url: https://provider.example/authorize
token_url: https://provider.example/token
client_id: ${EXAMPLE_ID}
client_secret: ${EXAMPLE_SECRET}
"""


def refused(folder: Path, text: str) -> str:
    (folder / "example.yaml").write_text(text)
    with pytest.raises(NotConfigured) as refusal:
        Catalogue.read(folder)
    return str(refusal.value).partition("example.yaml: ")[2]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("scopes: profile\n", "line 8, scopes: must be a list"),
        ("sends_iss: perhaps\n", "line 8, sends_iss: must be true or false"),
        ("\nlifetimes:\n  grant_s: long\n", "line 10, lifetimes.grant_s: must be a whole number"),
        (
            "scopse: [a]\n",
            "line 8, scopse: is no field of an entry (docs/providers.md has them all)",
        ),
        ("scopes: [a, {b: c}]\n", "line 8, scopes.1: must be text"),
        ("lifetimes: 5\n", "line 8, lifetimes: must be names with values"),
        ("revoke_url: http://a.example/\n", "line 8, revoke_url: must be https (http is for"),
    ],
)
def test_a_mistake_was_told_in_the_words_of_a_library_and_without_its_line(
    tmp_path: Path, more: str, said: str
) -> None:
    """Bug: `scopes: Input should be a valid tuple`."""
    message = refused(tmp_path, GOOD + more)
    assert message.startswith(said)
    assert "Value error" not in message


def test_what_is_missing_is_named_without_a_line(tmp_path: Path) -> None:
    assert refused(tmp_path, GOOD.replace("name: Example\n", "")) == "name: is missing"


@pytest.mark.parametrize(
    ("text", "line"),
    [("slug: example\nscopes: [\n", 3), ("slug: example\n\tname: x\n", 2), ("a: b: c\n", 1)],
)
def test_where_a_file_ceased_to_be_yaml_was_not_told(tmp_path: Path, text: str, line: int) -> None:
    """Bug: `ParserError`, and no word more."""
    assert refused(tmp_path, text).startswith(f"line {line}: this is no YAML; look at")


def test_entries_by_another_ending_were_passed_over_without_a_word(tmp_path: Path) -> None:
    """Bug: a provider in a `.yml` file was unknown."""
    (tmp_path / "example.yml").write_text(GOOD)
    with pytest.raises(NotConfigured, match=r"example\.yml: its name must end with \.yaml"):
        Catalogue.read(tmp_path)


def test_a_file_in_the_place_of_the_folder_was_said_not_to_exist(tmp_path: Path) -> None:
    """Bug: it did."""
    (tmp_path / "example.yaml").write_text(GOOD)
    with pytest.raises(NotConfigured, match="name the folder that it is in"):
        Catalogue.read(tmp_path / "example.yaml")
