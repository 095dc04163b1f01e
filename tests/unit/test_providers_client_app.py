"""Our registration at a provider: read where the entry points, when needed, and never shown."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from domain.errors import NotConfigured
from providers.catalogue import Catalogue
from providers.entry import OAuth2Entry

LOCAL = {
    "authorize_url": "http://127.0.0.1:8900/authorize",
    "token_url": "http://127.0.0.1:8900/token",
}


def read(folder: Path, **changes: Any) -> OAuth2Entry:
    fields = {
        "slug": "example",
        "name": "Example",
        "type": "oauth2",
        "authorize_url": "https://provider.example/authorize",
        "token_url": "https://provider.example/token",
        "client_id": "${EXAMPLE_ID}",
        "client_secret": "${EXAMPLE_SECRET}",
        **changes,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    (folder / "example.yaml").write_text(yaml.safe_dump(given))
    return Catalogue.read(folder).oauth2("example")


def refused(folder: Path, **changes: Any) -> str:
    with pytest.raises(NotConfigured) as refusal:
        read(folder, **changes)
    return str(refusal.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"token_url": LOCAL["token_url"], "revoke_url": "https://provider.example/revoke"},
        {"authorize_url": LOCAL["authorize_url"]},
    ],
    ids=["everywhere", "revocation elsewhere", "token elsewhere"],
)
def test_a_secret_in_the_clear_is_for_loopback(tmp_path: Path, changes: dict[str, Any]) -> None:
    message = refused(tmp_path, client_secret="mlcanary-secret", **changes)
    assert "never the secret" in message
    assert "mlcanary" not in message


def test_a_secret_in_the_clear_works_on_loopback(tmp_path: Path) -> None:
    app = read(tmp_path, client_secret="mlcanary-secret", client_id="app", **LOCAL).client_app()
    assert app.secret is not None
    assert (app.client_id, app.secret.reveal()) == ("app", "mlcanary-secret")
    assert "mlcanary" not in repr(app)


def test_id_and_secret_are_read_from_the_environment_when_needed(tmp_path: Path) -> None:
    entry = read(tmp_path)
    for secret in ("mlcanary-one", "mlcanary-two"):
        app = entry.client_app({"EXAMPLE_ID": "app", "EXAMPLE_SECRET": secret})
        assert app.secret is not None
        assert (app.client_id, app.secret.reveal()) == ("app", secret)


def test_id_and_secret_are_read_from_files_when_needed(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("app\n")
    (tmp_path / "secret").write_text("  mlcanary-secret \n")
    entry = read(tmp_path, client_id=f"file:{tmp_path}/id", client_secret=f"file:{tmp_path}/secret")
    app = entry.client_app({})
    assert app.secret is not None
    assert (app.client_id, app.secret.reveal()) == ("app", "mlcanary-secret")


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "EXAMPLE_SECRET"),
        ({"EXAMPLE_ID": "mlcanary-id"}, "EXAMPLE_SECRET"),
        ({"EXAMPLE_ID": "mlcanary-id", "EXAMPLE_SECRET": ""}, "EXAMPLE_SECRET"),
        ({"EXAMPLE_SECRET": "mlcanary-secret"}, "EXAMPLE_ID"),
    ],
)
def test_a_missing_variable_is_named_and_no_value_shown(
    tmp_path: Path, environment: dict[str, str], named: str
) -> None:
    with pytest.raises(NotConfigured) as refusal:
        read(tmp_path).client_app(environment)
    assert named in str(refusal.value)
    assert "example" in str(refusal.value)
    assert "mlcanary" not in str(refusal.value)


def test_of_id_and_secret_that_were_both_missing_one_was_named(tmp_path: Path) -> None:
    """Bug: whoever had set the one was told of the other only then."""
    with pytest.raises(NotConfigured, match=r"EXAMPLE_ID is not set and .* EXAMPLE_SECRET is not"):
        read(tmp_path).client_app({})


@pytest.mark.parametrize("content", [None, b"", b" \n", b"mlcanary\xff"])
def test_a_file_that_is_missing_empty_or_no_text_is_named(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    entry = read(tmp_path, client_id="app", client_secret=f"file:{path}")
    with pytest.raises(NotConfigured) as refusal:
        entry.client_app({})
    assert str(path) in str(refusal.value)
    assert "mlcanary" not in str(refusal.value)


def test_a_folder_in_the_place_of_a_secret_file_is_named(tmp_path: Path) -> None:
    entry = read(tmp_path, client_id="app", client_secret=f"file:{tmp_path}")
    with pytest.raises(NotConfigured, match="not readable"):
        entry.client_app({})


def test_a_confidential_app_needs_a_secret_and_a_public_one_has_none(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="client_secret is not set"):
        read(tmp_path, client_id="app", client_secret=None).client_app({})
    public = read(
        tmp_path, client_id="app", client_secret=None, client_authentication="none"
    ).client_app({})
    assert (public.secret, public.authentication) == (None, "none")
