"""Every entry that is shipped: readable, safe, dated, and honest about what it does not know."""

import re
from datetime import date
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from domain.credentials import CredentialType
from domain.deadlines import Lifetimes
from domain.outcomes import Outcome
from domain.secret import Secret
from providers.catalogue import SHIPPED, Catalogue
from providers.entries_given import GIVEN_TYPES, ApiKeyEntry, CertificateEntry, FileEntry
from providers.entry import LOOPBACK, OAuth2Entry, ProviderEntry, Refusal
from providers.oauth2 import authorization_url

CATALOGUE = Catalogue.read()
OURS = {"sandbox", "sandbox-broker", "sandbox-files", "sandbox-linked"}
SLUGS = [slug for slug in CATALOGUE.slugs() if slug not in OURS]
EVERY = pytest.mark.parametrize("slug", SLUGS)


def variables(entry: OAuth2Entry) -> dict[str, str]:
    prefix = f"MOORLINE_{entry.slug.upper().replace('-', '_')}"
    return {f"{prefix}_CLIENT_ID": "our app", f"{prefix}_CLIENT_SECRET": "mlcanary-secret"}


def test_there_are_many_and_each_file_is_one() -> None:
    assert len(SLUGS) >= 30
    assert {file.stem for file in SHIPPED.iterdir()} == {*SLUGS, *OURS}
    assert {file.suffix for file in SHIPPED.iterdir()} == {".yaml"}


@EVERY
def test_an_entry_finds_id_and_secret_in_variables_named_after_it(slug: str) -> None:
    entry = CATALOGUE.oauth2(slug)
    app = entry.client_app(variables(entry))
    assert app.secret is not None
    assert (app.client_id, app.secret.reveal()) == ("our app", "mlcanary-secret")


@EVERY
def test_an_entry_says_when_its_facts_were_checked(slug: str) -> None:
    as_of = CATALOGUE.oauth2(slug).as_of
    assert as_of is not None
    assert date(2026, 1, 1) <= as_of <= date(2026, 12, 31)


@EVERY
def test_an_entry_begins_with_what_is_odd_about_the_provider(slug: str) -> None:
    text = Path(SHIPPED / f"{slug}.yaml").read_text()
    assert re.match(r"# [A-Z].{20,}", text)
    assert all(len(line) <= 100 for line in text.splitlines())


@EVERY
def test_no_real_provider_is_called_without_encryption_or_with_a_gap_in_its_url(slug: str) -> None:
    entry = CATALOGUE.oauth2(slug)
    urls = [entry.authorize_url, entry.token_url, *([entry.revoke_url] if entry.revoke_url else [])]
    assert all(url.startswith("https://") for url in urls)
    assert not any(re.search(r"[{}<>$ ]", url) for url in urls)
    assert not any(host in url for url in urls for host in LOOPBACK)


@EVERY
def test_a_user_can_be_sent_there(slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = CATALOGUE.oauth2(slug)
    for name, value in variables(entry).items():
        monkeypatch.setenv(name, value)
    url = authorization_url(
        entry,
        redirect_uri="https://app.example/callback",
        state=Secret("a state"),
        verifier=Secret("v" * 43),
    )
    assert url.startswith(entry.authorize_url)
    assert "code_challenge_method=S256" in url


@EVERY
def test_lifetimes_fit_into_each_other(slug: str) -> None:
    known = CATALOGUE.oauth2(slug).lifetimes
    longer = [known.refresh_token_s, known.grant_s, known.consent_s]
    if known.access_token_s is not None:
        assert all(each is None or each > known.access_token_s for each in longer)


@EVERY
def test_what_never_rotates_has_no_grace_and_what_has_grace_rotates(slug: str) -> None:
    entry = CATALOGUE.oauth2(slug)
    assert entry.grace_s is None or entry.rotation == "always"


@EVERY
def test_no_refusal_is_hidden_by_a_wider_one_before_it(slug: str) -> None:
    refusals = CATALOGUE.oauth2(slug).refusals
    for number, wide in enumerate(refusals):
        for narrow in refusals[number + 1 :]:
            assert not wide.fields.items() <= narrow.fields.items()


def test_what_the_standard_calls_our_fault_ends_a_grant_only_by_its_exact_words() -> None:
    ours = {"invalid_client", "unauthorized_client", "invalid_request", "access_denied"}
    for slug in SLUGS:
        for refusal in CATALOGUE.oauth2(slug).refusals:
            if refusal.fields.get("error") in ours and refusal.outcome is Outcome.GRANT_DEAD:
                assert len(refusal.fields) > 1


def test_a_provider_whose_tokens_may_be_endless_states_no_lifetime() -> None:
    for slug in ("slack", "github-app", "github-oauth-app", "miro", "intercom", "mailchimp"):
        assert CATALOGUE.oauth2(slug).lifetimes.as_lifetimes() == Lifetimes()


DOCS = Path(__file__).parents[2] / "docs" / "providers.md"


def documented(section: str) -> list[str]:
    """The fields that the tables of a section name."""
    text = DOCS.read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    tables = re.findall(r"^\| field \|.*\n\|.*\n((?:\|.*\n)+)", text, re.M)
    return sorted(re.findall(r"^\| `(\w+)` \|", "".join(tables), re.M))


def test_the_documentation_names_every_field_and_no_other() -> None:
    assert documented("Every field") == sorted(OAuth2Entry.model_fields)
    fields = {name for entry in GIVEN_TYPES.values() for name in entry.model_fields}
    common = set(ProviderEntry.model_fields) - {"data"} | {"type"}
    assert documented("What users give") == sorted(fields - common)


def test_the_documented_entries_and_refusals_can_be_read() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.S)
    entry, *given, refusals = (yaml.safe_load(example) for example in examples)
    read = OAuth2Entry.model_validate({**entry, **refusals})
    outcomes = [refusal.outcome for refusal in read.refusals]
    assert outcomes == ["grant_dead", "rate_limited", "transient"]
    kinds = {GIVEN_TYPES[each["type"]].model_validate(each).credential_type for each in given}
    assert kinds | {CredentialType.API_KEY} == {each for each in CredentialType if each.is_given}


def test_a_certificate_is_shown_over_tls_alone() -> None:
    entry = {"slug": "a", "name": "A", "type": "certificate", "verify_url": "https://a.example/me"}
    plain = {"reader": "sandbox", "url": "http://127.0.0.1:1/"}
    CertificateEntry.model_validate(entry)
    for change in ({"verify_url": "http://127.0.0.1:1/me"}, {"data": plain}, {"ca": "/a.pem"}):
        with pytest.raises(ValidationError):
            CertificateEntry.model_validate({**entry, **change})


def test_a_file_is_read_where_files_are_brought_and_nowhere_else() -> None:
    key = {"slug": "a", "name": "A", "type": "api_key", "verify_url": "https://a.example/me"}
    file = {"slug": "a", "name": "A", "type": "file"}
    assert FileEntry.model_validate(file).data is not None
    for kind, entry, data in (
        (ApiKeyEntry, key, {"reader": "csv"}),
        (ApiKeyEntry, key, {"reader": "sandbox"}),
        (FileEntry, file, {"reader": "sandbox", "url": "https://a.example/"}),
        (FileEntry, file, {"reader": "csv", "url": "https://a.example/"}),
    ):
        with pytest.raises(ValidationError):
            kind.model_validate({**entry, "data": data})


def test_the_documentation_names_every_outcome_a_refusal_can_have() -> None:
    table = DOCS.read_text().partition("| `outcome` |")[2].partition("Two warnings")[0]
    named = re.findall(r"^\| `(\w+)` \|", table, re.M)
    for outcome in Outcome:
        if outcome in named:
            Refusal(fields={"error": "x"}, outcome=outcome)
        else:
            with pytest.raises(ValueError):
                Refusal(fields={"error": "x"}, outcome=outcome)
