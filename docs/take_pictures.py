"""Take the documents' pictures: play the demo and the one that loses, open the app in a headless Chromium, photograph.

Run it from the project's root after the pages have changed: .venv/bin/python docs/take_pictures.py [DEMO-SHOP [LOSING]]
Folders where `demo` and `demo --regression` were played before save the minutes. It wants Chromium (TRUELIFT_CHROMIUM
names it, else /usr/bin/chromium).
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from analysis.demo.play import play

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
CHROMIUM = os.environ.get("TRUELIFT_CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
PICTURES = {  # name → page, height in pixels, charts drawn
    "overview": ("", 520, 0),
    "readout": ("readout?experiment=pdp_similar", 1330, 2),
    "where": ("where?experiment=home_als_v2", 1060, 1),
    "withheld": ("readout?experiment=cart_addons", 830, 0),
    "health": ("health?experiment=cart_addons", 1130, 2),
    "registry": ("registry?experiment=pdp_similar", 780, 2),
}
LOSING = {"alerts": ("alerts", 740, 0)}  # of the demo with a regression
SECONDS = 90


def main() -> None:
    """Take every picture."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for place, (regression, pictures) in enumerate(((False, PICTURES), (True, LOSING)), start=1):
            home = Path(sys.argv[place]) if len(sys.argv) > place else Path(folder) / f"demo-shop-{place}"
            play(home, now=datetime(2026, 11, 10, 6, tzinfo=UTC), by="docs", regression=regression)
            with _served(home, Path(folder) / "app.log") as address:
                _take(address, pictures)


def _take(address: str, pictures: Mapping[str, tuple[str, int, int]]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, (page, height, charts) in pictures.items():
            tab = browser.new_page(viewport={"width": 1440, "height": height})
            tab.goto(f"{address}/{page}")
            tab.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=SECONDS * 1000)
            drawn = tab.locator('[data-testid="stVegaLiteChart"] svg.marks')
            expect(drawn).to_have_count(charts, timeout=SECONDS * 1000)
            for unready in ('[data-stale="true"]', '[data-testid="stSkeleton"]'):
                expect(tab.locator(unready)).to_have_count(0, timeout=SECONDS * 1000)
            tab.evaluate("document.fonts.ready")
            tab.screenshot(path=IMAGES / f"{name}.png")
            print(f"docs/images/{name}.png")
        browser.close()


@contextmanager
def _served(home: Path, log: Path) -> Iterator[str]:
    """The app on a free port of this machine; its address."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "analysis.cli", "app", "--home", str(home), "--port", str(port)]
    with log.open("w") as written, subprocess.Popen(words, cwd=ROOT, stdout=written, stderr=written) as served:
        try:
            _wait(f"http://localhost:{port}/_stcore/health", log)
            yield f"http://localhost:{port}"
        finally:
            served.terminate()


def _wait(url: str, log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise SystemExit(f"the app did not come up:\n{log.read_text()}")


if __name__ == "__main__":
    main()
