"""Headless Chromium, if it is there: what it makes of a page."""

import shutil
import subprocess

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")


def dom_of(url, folder, *, streams=False):
    """The document after its scripts have run, as HTML; `folder` is for the browser's profile.

    Of a page with `streams`, for which virtual time would wait for ever: when it is loaded.
    """
    done = subprocess.run(
        [
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            f"--user-data-dir={folder / 'profile'}",
            "--timeout=20000" if streams else "--virtual-time-budget=10000",
            *("--dump-dom", url),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout, done.stderr[-2000:]
    return done.stdout
