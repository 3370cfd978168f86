"""The app in a real headless browser: served on a free port, with everything noted that goes wrong in a tab."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
CHROMIUM = Path(os.environ.get("TRUELIFT_CHROMIUM", "/usr/bin/chromium"))
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PROBES = ("/_stcore/health", "/_stcore/host-config")  # Streamlit looks beneath a deep link's own path first: 404
SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"]'
DRAWN = '[data-testid="stVegaLiteChart"] svg.marks'
SECONDS = 60


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}: install chromium, or name one in TRUELIFT_CHROMIUM")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@contextmanager
def served_app(home: Path, folder: Path) -> Iterator[str]:
    """The address of `truelift app` on the shop at `home`; its log is in `folder`."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    with (folder / "app.log").open("w") as log:
        arguments = [sys.executable, "-m", "analysis.cli", "app", "--home", str(home), "--port", str(port)]
        served = subprocess.Popen(arguments, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_until_up(f"http://localhost:{port}/_stcore/health", served, folder / "app.log")
            yield f"http://localhost:{port}"
        finally:
            served.terminate()
            served.wait(timeout=20)


def _wait_until_up(url: str, served: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and served.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"the app did not come up: {log.read_text()}")


class Visit:
    """One tab, with everything that went wrong in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.set_default_timeout(SECONDS * 1000)
        page.on("pageerror", lambda error: self.wrong.append(f"page error: {error}"))
        page.on("console", lambda told: self._console(told.type, told.text, str(told.location.get("url", ""))))
        page.on("request", lambda request: self._outside(request.url))

    def _console(self, kind: str, text: str, url: str) -> None:
        if kind == "error" and not url.endswith(PROBES):
            self.wrong.append(f"console: {text} {url}")

    def _outside(self, url: str) -> None:
        if not url.startswith(("http://localhost:", "ws://localhost:", "data:", "blob:")):
            self.wrong.append(f"asked another machine: {url}")

    def settle(self) -> None:
        """Wait until the script has run and nothing on the page is from the run before."""
        self.page.wait_for_timeout(150)
        self.page.wait_for_selector(SETTLED)
        expect(self.page.locator('[data-stale="true"]')).to_have_count(0, timeout=SECONDS * 1000)

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.settle()

    def charts(self, count: int) -> None:
        """Wait until so many charts are drawn."""
        expect(self.page.locator(DRAWN)).to_have_count(count, timeout=SECONDS * 1000)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    page = browser.new_page(viewport={"width": 1440, "height": 1500})
    found = Visit(page)
    yield found
    page.close()
    assert found.wrong == [], found.wrong
