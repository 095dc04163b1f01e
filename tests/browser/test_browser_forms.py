"""The forms for what users give, in a real browser without JavaScript, on a phone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import FilePayload, Page, expect

from tests.browser.conftest import pictured
from tests.given import (
    CERTIFIED,
    FILES,
    LINKED,
    STATEMENT,
    Certifier,
    certifying,
    write_files,
    write_linked,
)
from tests.web.gateway import Web, gateway_of
from tests.web.people import begin
from tests.world import Servers, new_world


@pytest.fixture
async def certifier(tmp_path: Path) -> AsyncIterator[Certifier]:
    async with certifying() as certifier:
        await certifier.write(tmp_path)
        yield certifier


@pytest.fixture
async def forms(servers: Servers, tmp_path: Path, certifier: Certifier) -> AsyncIterator[Web]:
    assert certifier
    write_linked(tmp_path, servers.sandbox.base_url)
    write_files(tmp_path)
    async with new_world(servers, tmp_path) as world, gateway_of(world) as web:
        yield web


async def on_to_the_form(web: Web, page: Page, provider: str) -> None:
    _, link, _ = await begin(web, provider=provider)
    await page.goto(link)
    await page.get_by_role("button", name="Continue").click()


async def connect(page: Page) -> None:
    await page.get_by_role("button", name="Connect").click()


def pem(name: str, text: str) -> FilePayload:
    return {"name": name, "mimeType": "application/x-pem-file", "buffer": text.encode()}


async def test_a_user_gives_a_link_token(forms: Web, phone: Page) -> None:
    await on_to_the_form(forms, phone, LINKED)
    field = phone.get_by_label("Link token")
    await field.fill("not-a-token-of-theirs")
    await connect(phone)
    await expect(phone.get_by_role("alert")).to_have_text("Linked does not take this link token.")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_value("")
    await field.fill((await forms.world.sandbox.new_link()).api_key)
    await connect(phone)
    await expect(phone.get_by_role("heading")).to_have_text("Linked is connected")


async def test_a_user_gives_a_file(forms: Web, phone: Page) -> None:
    await on_to_the_form(forms, phone, FILES)
    field = phone.get_by_label("CSV file")
    too_long: FilePayload = {"name": "a.csv", "mimeType": "text/csv", "buffer": b"x" * 5_000_000}
    await field.set_input_files(too_long)
    await connect(phone)
    await expect(phone.get_by_role("alert")).to_have_text("That is longer than it can be.")
    wrong: FilePayload = {"name": "a.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n"}
    await field.set_input_files(wrong)
    await connect(phone)
    await expect(phone.get_by_role("alert")).to_contain_text("This file cannot be read")
    await pictured(phone, "connect-file")
    good: FilePayload = {"name": "a.csv", "mimeType": "text/csv", "buffer": STATEMENT.encode()}
    await field.set_input_files(good)
    await connect(phone)
    await expect(phone.get_by_role("heading")).to_have_text("Paper Bank is connected")


async def test_a_user_gives_a_certificate(forms: Web, certifier: Certifier, phone: Page) -> None:
    await on_to_the_form(forms, phone, CERTIFIED)
    parts, _ = await certifier.parts()
    other, _ = await certifier.parts()
    certificate = pem("me.crt", parts["client_certificate"])
    await phone.get_by_label("Certificate", exact=True).set_input_files(certificate)
    await phone.get_by_label("Private key").set_input_files(pem("me.key", other["private_key"]))
    await connect(phone)
    said = "The private key is not the one of this certificate."
    await expect(phone.get_by_role("alert")).to_have_text(said)
    await pictured(phone, "connect-certificate")
    await phone.get_by_label("Certificate", exact=True).set_input_files(certificate)
    await phone.get_by_label("Private key").set_input_files(pem("me.key", parts["private_key"]))
    await connect(phone)
    await expect(phone.get_by_role("heading")).to_have_text("Vault Bank is connected")
