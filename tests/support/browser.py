"""A real browser for tests: Debian's Chromium, driven by Playwright, and the screenshots that it leaves."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from needs import program
from playwright.sync_api import Browser, Page, sync_playwright

from recsys_helpers.paths import ROOT

SHOTS = ROOT / "build" / "screenshots"
needs_chromium = program("chromium", "apt install chromium")
DESK = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "device_scale_factor": 2}


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


def shoot(page: Page, name: str, **options) -> Path:
    """Keep a picture of the page as build/screenshots/NAME.png, for people to look at."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    path = SHOTS / f"{name}.png"
    page.screenshot(path=path, **options)
    return path


def listen(page: Page) -> list[str]:
    """From now on, what the console calls an error, what could not be loaded, and what was asked of a network."""
    heard: list[str] = []
    page.on("console", lambda m: heard.append(f"console: {m.text}") if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: heard.append(f"script: {error}"))
    page.on("requestfailed", lambda request: heard.append(f"missing: {request.url}"))
    page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else heard.append(f"network: {r.url}"))
    return heard
