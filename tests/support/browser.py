"""Headless Chromium, if it is there: what it makes of a page, once or under remote control."""

import contextlib
import shutil
import subprocess

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def dom_of(url, folder):
    """The document after its scripts have run, as HTML; `folder` is for the browser's profile."""
    done = subprocess.run(
        [
            *(CHROMIUM, *_FLAGS, f"--user-data-dir={folder / 'profile'}"),
            *("--virtual-time-budget=10000", "--dump-dom", url),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout, done.stderr[-2000:]
    return done.stdout


def selenium():
    """What controls a browser; what needs it is skipped if it, or the browser, is not there."""
    for name, found in (("chromium", CHROMIUM), ("chromium-driver", DRIVER)):
        if not found:
            pytest.skip(f"{name} is not installed")
    return pytest.importorskip("selenium.webdriver")


@contextlib.contextmanager
def controlled(folder, *flags):
    """A browser under remote control, with its profile in `folder`."""
    webdriver = selenium()
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.page_load_strategy = "eager"  # a page that listens to events is never done
    for flag in (*_FLAGS, "--disable-dev-shm-usage", f"--user-data-dir={folder}", *flags):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()
