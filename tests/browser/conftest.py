"""A real browser: Debian's chromium, driven by Playwright."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PHONE = {"width": 390, "height": 780}


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium is installed (Debian: apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        await browser.close()


@pytest.fixture
async def phone(chromium: Browser) -> AsyncIterator[Page]:
    """A phone on which nothing was done yet, and which runs no script."""
    context = await chromium.new_context(
        viewport=PHONE,  # type: ignore[arg-type]  # a mapping of the same shape
        java_script_enabled=False,
    )
    page = await context.new_page()
    page.set_default_timeout(30_000)
    yield page
    await context.close()


async def pictured(page: Page, name: str) -> None:
    """Keep a picture for the documentation, where ``PICTURES`` names a folder."""
    if folder := os.environ.get("PICTURES"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
