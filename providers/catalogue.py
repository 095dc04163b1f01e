"""The catalogue: what is known of each provider, as data.

Entries are YAML files, one per provider: those shipped in ``providers/entries`` and those of the
folder that ``MOORLINE_PROVIDERS`` names, which may add to them or replace them. Any OAuth 2.0
server can be used by writing one.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

import yaml
from pydantic import ValidationError

from domain.credentials import CredentialType
from domain.errors import InvalidInput, NotConfigured, NotFound
from domain.words import GIVEN, one, option
from providers.entries_given import GIVEN_TYPES, GivenEntry
from providers.entry import OAuth2Entry, ProviderEntry
from providers.mistakes import mistakes, no_yaml

SHIPPED = Path(__file__).parent / "entries"
TYPES: Mapping[str, type[ProviderEntry]] = {"oauth2": OAuth2Entry, **GIVEN_TYPES}
"""Which entry describes which manner of speaking."""
HOW_TO_ADD = (
    "clients and workers alike read more entries from the folder MOORLINE_PROVIDERS names, when "
    "they start: one that was running before is to be started again"
)


class Catalogue:
    """All entries by slug."""

    def __init__(self, entries: Iterable[ProviderEntry]) -> None:
        self._entries = {entry.slug: entry for entry in entries}

    @classmethod
    def read(cls, folder: Path | None = None) -> "Catalogue":
        """The shipped entries, and those of ``folder`` in their place or beside them.

        Raises:
            NotConfigured: the folder is missing, or a file in it is not an entry; says which line.
        """
        if folder is not None:
            _check_folder(folder)
        folders = [SHIPPED] if folder is None else [SHIPPED, folder]
        files = [file for place in folders for file in sorted(place.glob("*.yaml"))]
        return cls(_read_entry(file) for file in files)

    def get(self, slug: str) -> ProviderEntry:
        """The entry of this slug.

        Raises:
            NotFound: there is none; the message names those that are spelled like it.
        """
        if slug not in self._entries:
            alike = " or ".join(get_close_matches(slug[:50], self._entries))
            hint = f"is it {alike}? If not: {HOW_TO_ADD}" if alike else HOW_TO_ADD
            raise NotFound(f"unknown provider {slug[:50]!r}; {hint}")
        return self._entries[slug]

    def oauth2(self, slug: str) -> OAuth2Entry:
        """The entry of a provider whose own page asks the user.

        Raises:
            NotFound: there is none.
            InvalidInput: it is spoken to in another way.
        """
        entry = self.get(slug)
        if not isinstance(entry, OAuth2Entry):
            kind = entry.credential_type
            raise InvalidInput(
                f"{slug} works by {one(kind)}: give it by {option(kind)} when connecting"
            )
        return entry

    def given(self, slug: str, kind: CredentialType | None = None) -> GivenEntry:
        """The entry of a provider whose users give us what it works by.

        Args:
            kind: and that is this; None: whatever it is.

        Raises:
            NotFound: there is none.
            InvalidInput: it works by something else.
        """
        entry = self.get(slug)
        if isinstance(entry, GivenEntry):
            if kind in (None, entry.credential_type):
                return entry
            raise InvalidInput(f"{slug} works by {one(entry.credential_type)}")
        wanted = GIVEN[kind or CredentialType.API_KEY]
        raise InvalidInput(f"{slug} asks the user on its own page, and takes no {wanted}")

    def reads_data(self, slug: str) -> bool:
        """Whether there is data to be read at this provider."""
        entry = self._entries.get(slug)
        return entry is not None and entry.data is not None

    def slugs(self) -> list[str]:
        """Every slug, sorted."""
        return sorted(self._entries)


def _check_folder(folder: Path) -> None:
    if folder.is_file():
        raise NotConfigured(
            f"MOORLINE_PROVIDERS names the file {folder}: name the folder that it is in"
        )
    if not folder.is_dir():
        raise NotConfigured(f"the folder of provider entries does not exist: {folder}")
    for file in sorted(folder.glob("*.yml")):
        raise NotConfigured(f"provider entry {file}: its name must end with .yaml")


def _read_entry(file: Path) -> ProviderEntry:
    try:
        text = file.read_text()
        entry = _parsed(text)
    except NotConfigured as error:
        raise NotConfigured(f"provider entry {file}: {error}") from None
    except yaml.YAMLError as error:
        raise NotConfigured(f"provider entry {file}: {no_yaml(error)}") from None
    except OSError as error:
        raise NotConfigured(f"provider entry {file}: {error.strerror}") from None
    except ValueError:
        raise NotConfigured(
            f"provider entry {file}: a date that there is not, or bytes that are no text"
        ) from None
    if entry.slug != file.stem:
        raise NotConfigured(f"provider entry {file}: its slug must be its name, {file.stem!r}")
    return entry


def _parsed(text: str) -> ProviderEntry:
    fields = yaml.safe_load(text)
    if not isinstance(fields, dict):
        raise NotConfigured("must be names with values, as docs/providers.md shows")
    kind = fields.get("type", "oauth2")
    if not isinstance(kind, str) or kind not in TYPES:
        raise NotConfigured(f"type: one of {', '.join(TYPES)}")
    try:
        return TYPES[kind].model_validate(fields)
    except ValidationError as error:
        raise NotConfigured(mistakes(text, error)) from None
