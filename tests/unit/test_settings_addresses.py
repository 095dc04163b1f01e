"""Addresses in settings: what browsers cannot be sent to, or would let anyone in, is refused."""

from pathlib import Path

import pytest

from domain.errors import NotConfigured
from moorline import settings
from moorline.settings import Settings


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No file is read but those of an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOORLINE_DATABASE_URL", "postgresql+asyncpg://user@host/name")


def loaded(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> Settings:
    monkeypatch.setenv(name, value)
    return settings.load()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("https://connect.example", "https://connect.example"),
        ("https://Connect.Example:443/", "https://connect.example"),
        ("https://connect.example:8443", "https://connect.example:8443"),
        ("http://127.0.0.1:8300", "http://127.0.0.1:8300"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_the_public_url_is_as_browsers_write_it(
    monkeypatch: pytest.MonkeyPatch, value: str, written: str
) -> None:
    assert loaded(monkeypatch, "MOORLINE_PUBLIC_URL", value).public_url == written


@pytest.mark.parametrize(
    "value",
    [
        "https://*",
        "https://*.example",
        "https://[2001:db8::1]:8443",
        "https://b\u00fccher.example",
        "https://connect.example.",
        "https://connect.example\\@evil.example",
        "https://connect\\evil.example",
        "https://connect.example/path",
        "http://connect.example",
        "//connect.example",
        "https://",
    ],
)
def test_a_public_url_that_names_no_one_host_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """A pattern switched the check of the host off; others turned every browser away."""
    with pytest.raises(NotConfigured, match="MOORLINE_PUBLIC_URL"):
        loaded(monkeypatch, "MOORLINE_PUBLIC_URL", value)


@pytest.mark.parametrize("value", ["*", "https://*.example", "null", "ui.example", "file:///ui"])
def test_a_ui_origin_that_is_not_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """`*` let every page read what is decoded."""
    with pytest.raises(NotConfigured, match="MOORLINE_UI_ORIGIN"):
        loaded(monkeypatch, "MOORLINE_UI_ORIGIN", value)


def test_a_ui_origin_is_as_browsers_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a slash at its end it matched no browser's."""
    found = loaded(monkeypatch, "MOORLINE_UI_ORIGIN", "http://Temporal.internal:8080/")
    assert found.ui_origin == "http://temporal.internal:8080"


@pytest.mark.parametrize(
    "value",
    [
        "https://app.example/back#part",
        "https://user@app.example/back",
        "http://app.example/back",
        "https://app\\evil.example/back",
        "//app.example/back",
        "javascript:alert(1)",
    ],
)
def test_a_return_url_that_browsers_cannot_be_sent_to_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """Here the operator writes them."""
    with pytest.raises(NotConfigured, match="MOORLINE_RETURN_URLS"):
        loaded(monkeypatch, "MOORLINE_RETURN_URLS", f"https://app.example/good {value}")
