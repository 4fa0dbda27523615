"""A real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's: nothing is downloaded for a test."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here (apt install chromium)")
    with sync_playwright() as playwright:
        # Its own sandbox needs user namespaces, which root and containers often lack. The page is ours.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
