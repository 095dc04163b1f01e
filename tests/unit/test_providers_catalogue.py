"""Entries as data: what is accepted, what is refused, and that no value shows in a refusal."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from domain.deadlines import Lifetimes
from domain.errors import NotConfigured, NotFound
from domain.outcomes import Outcome
from providers.catalogue import Catalogue
from providers.entry import OAuth2Entry

ENTRY: dict[str, Any] = {
    "slug": "example",
    "name": "Example",
    "type": "oauth2",
    "authorize_url": "https://provider.example/authorize",
    "token_url": "https://provider.example/token",
    "client_id": "${EXAMPLE_ID}",
    "client_secret": "${EXAMPLE_SECRET}",
}


def write(folder: Path, file: str = "example.yaml", /, **changes: Any) -> Path:
    fields = {name: value for name, value in {**ENTRY, **changes}.items() if value is not None}
    (folder / file).write_text(yaml.safe_dump(fields))
    return folder


def read(folder: Path, **changes: Any) -> OAuth2Entry:
    return Catalogue.read(write(folder, **changes)).oauth2("example")


def refused(folder: Path, **changes: Any) -> str:
    with pytest.raises(NotConfigured) as refusal:
        read(folder, **changes)
    return str(refusal.value)


def test_an_entry_needs_little(tmp_path: Path) -> None:
    entry = read(tmp_path)
    assert (entry.revoke_url, entry.issuer, entry.sends_iss) == (None, None, False)
    assert entry.client_authentication == "client_secret_basic"
    assert entry.lifetimes.as_lifetimes() == Lifetimes()
    assert (entry.rotation, entry.grace_s) == ("sometimes", None)
    assert entry.keep_alive == timedelta(days=1)
    assert (entry.scopes, entry.scope_separator, dict(entry.authorize_params)) == ((), " ", {})


@pytest.mark.parametrize(
    "field", ["slug", "name", "type", "authorize_url", "token_url", "client_id"]
)
def test_what_an_entry_cannot_do_without_is_named(tmp_path: Path, field: str) -> None:
    assert f"{field}: is missing" in refused(tmp_path, **{field: None})


def test_an_unknown_key_is_named_and_its_value_not_shown(tmp_path: Path) -> None:
    message = refused(tmp_path, client_secert="mlcanary-secret")
    assert "client_secert" in message
    assert "mlcanary" not in message


@pytest.mark.parametrize(
    "url",
    [
        "http://provider.example/token",
        "http://127.0.0.1.evil.example/token",
        "http://127.0.0.2/token",
        "http://localhost./token",
        "ftp://provider.example/token",
        "//provider.example/token",
        "/token",
        "provider.example/token",
        "https:///token",
        "https://",
        "",
        "https://user@provider.example/token",
        "https://user:mlcanary@provider.example/token",
        "https://@provider.example/token",
        "https://:mlcanary@provider.example/token",
        "http://127.0.0.1\\@evil.example/token",
        "https://provider.example/token#fragment",
        "https://provider.example/token#",
        "https://[bad/token",
        "https://provider.example:99999/token",
        "https://provider.example:0/token",
        "https://provider.example:x/token",
        "https://provider\n.example/token",
        "https://xn--/token",
        "javascript:alert(1)",
    ],
)
@pytest.mark.parametrize("field", ["authorize_url", "token_url", "revoke_url"])
def test_endpoints_are_absolute_https_urls_without_user(
    tmp_path: Path, field: str, url: str
) -> None:
    message = refused(tmp_path, **{field: url})
    assert f"{field}: " in message
    assert "mlcanary" not in message


@pytest.mark.parametrize("host", ["127.0.0.1:8900", "localhost:8900", "[::1]:8900"])
def test_http_is_for_loopback(tmp_path: Path, host: str) -> None:
    entry = read(
        tmp_path, authorize_url=f"http://{host}/authorize", token_url=f"http://{host}/token"
    )
    assert entry.token_url == f"http://{host}/token"


@pytest.mark.parametrize(
    "changes",
    [
        {"slug": "Example"},
        {"slug": "ex ample"},
        {"slug": "-example"},
        {"slug": ""},
        {"slug": "e" * 51},
        {"type": "api_key"},
        {"client_authentication": "private_key_jwt"},
        {"rotation": "daily"},
        {"grace_s": -1},
        {"keep_alive_s": 0},
        {"lifetimes": {"access_token_s": 0}},
        {"lifetimes": {"refresh_token_s": "long"}},
        {"lifetimes": {"minutes": 5}},
        {"scopes": "profile"},
        {"refusals": [{"fields": {}, "outcome": "transient"}]},
        {"refusals": [{"fields": {"error": "x"}}]},
        {"refusals": [{"fields": {"error": "x"}, "outcome": "unheard_of"}]},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert "provider entry" in refused(tmp_path, **changes)


def test_bug_a_lifetime_beyond_the_calendar_cost_the_token_it_was_for(tmp_path: Path) -> None:
    assert "lifetimes.grant_s" in refused(tmp_path, lifetimes={"grant_s": 10**12})
    hundred_years = read(tmp_path, lifetimes={"grant_s": 3_155_760_000})
    assert hundred_years.lifetimes.as_lifetimes().grant == timedelta(days=36525)


@pytest.mark.parametrize(
    "outcome",
    ["refreshed", "ambiguous", "protocol_error", "storage_fault", "rolled_back", "unavailable"],
)
def test_bug_an_entry_could_call_a_refusal_a_success(tmp_path: Path, outcome: str) -> None:
    refusals = [{"fields": {"error": "x"}, "outcome": outcome}]
    assert "a refusal is one of" in refused(tmp_path, refusals=refusals)


def test_refusals_keep_their_order_and_compare_texts_and_truths(tmp_path: Path) -> None:
    refusals = [
        {"fields": {"ok": False, "error": "token_revoked"}, "outcome": "access_revoked"},
        {"fields": {"ok": False}, "outcome": "transient"},
    ]
    first, second = read(tmp_path, refusals=refusals).refusals
    assert dict(first.fields) == {"ok": False, "error": "token_revoked"}
    assert (first.outcome, second.outcome) == (Outcome.ACCESS_REVOKED, Outcome.TRANSIENT)


@pytest.mark.parametrize(
    "text",
    ["", "- a\n- b\n", "mlcanary", "slug: [", "\x00", "slug: !!python/object:os.system {}"],
    ids=repr,
)
def test_a_file_that_is_no_entry_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.yaml").write_text(text)
    with pytest.raises(NotConfigured) as refusal:
        Catalogue.read(tmp_path)
    assert "broken.yaml" in str(refusal.value)
    assert "mlcanary" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"as_of: 2026-13-45\n"], ids=repr)
def test_bug_bytes_and_dates_that_are_none_raised_value_error(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "broken.yaml").write_bytes(content)
    with pytest.raises(NotConfigured, match=r"broken\.yaml"):
        Catalogue.read(tmp_path)


def test_a_slug_is_the_files_name(tmp_path: Path) -> None:
    write(tmp_path, "other.yaml")
    with pytest.raises(NotConfigured, match="must be its name, 'other'"):
        Catalogue.read(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="nowhere"):
        Catalogue.read(tmp_path / "nowhere")
    write(tmp_path)
    with pytest.raises(NotConfigured, match=r"example\.yaml"):
        Catalogue.read(tmp_path / "example.yaml")


def test_an_own_entry_replaces_the_shipped_one_or_stands_beside_it(tmp_path: Path) -> None:
    shipped = Catalogue.read()
    write(tmp_path)
    beside = Catalogue.read(tmp_path)
    assert set(beside.slugs()) == {*shipped.slugs(), "example"}
    assert beside.slugs() == sorted(beside.slugs())
    write(tmp_path, "sandbox.yaml", slug="sandbox", name="Mine")
    assert Catalogue.read(tmp_path).get("sandbox").name == "Mine"
    assert shipped.get("sandbox").name == "Sandbox"


def test_an_unknown_provider_is_told_with_those_spelled_alike_or_how_to_add_it() -> None:
    with pytest.raises(NotFound, match="unknown provider 'sandbx'; is it sandbox"):
        Catalogue.read().get("sandbx")
    with pytest.raises(NotFound, match="MOORLINE_PROVIDERS") as unknown:
        Catalogue.read().get("x" * 500)
    assert "x" * 51 not in str(unknown.value)
    with pytest.raises(NotFound, match="unknown provider 'schwab'"):
        Catalogue([]).get("schwab")
