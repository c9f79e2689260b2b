#!/usr/bin/env python3
"""Tests the status page in a real browser, driven by chromedriver, on loopback.

    python3 tests/browser/run.py --bin target/release/optoggles [--pictures FOLDER]

Needs Debian's packages chromium and chromium-driver. Prints a line for each check, then
"N passed, N failed"; exits 0 only if none failed.
"""

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # keep the tree clean

# pylint: disable=wrong-import-position
import report
from browser import Browser
from daemon import Daemon

TOGGLES = 500
NASTY = "<img src=x onerror=alert(1)> & \\\"quoted\\\""


def main():
    """Parses the command line, runs all checks in order."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bin", required=True, type=Path, help="the optoggles to test")
    parser.add_argument("--pictures", type=Path, help="where to save screenshots")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="optoggles-browser-"))
    with contextlib.ExitStack() as at_the_end:
        at_the_end.callback(shutil.rmtree, folder)
        daemon = Daemon(options.bin.absolute(), folder, toggles(), max_removal="50%")
        at_the_end.callback(daemon.stop)
        browser = Browser(folder)
        at_the_end.callback(browser.stop)

        def take_picture(number):
            if options.pictures:
                browser.picture(options.pictures / f"{number}.png")

        return report.run(CHECKS, daemon, browser, after=take_picture)


def toggles():
    """The keys of all toggles; one looks like markup."""
    return [f"feature-{number}" for number in range(TOGGLES - 1)] + [NASTY]


def starting(daemon, browser):
    """Without the file of users, nothing is in sync."""
    browser.open(daemon.url)
    browser.wait_for_text("failing")
    browser.wait_for_text("reading: the file cannot be read")


def in_sync(daemon, browser):
    """Then everything is, and the page refreshes itself."""
    daemon.allow(["ann", "bob", "eve", "zoe"])
    browser.wait_for_text(f"{TOGGLES} in sync", limit=60)
    browser.wait_for_text("✓ ok")
    rows = browser.run("return document.querySelectorAll('tbody')[1].rows.length")
    assert rows == TOGGLES, rows


def escaped(_daemon, browser):
    """A key is shown as text, even if it looks like markup."""
    browser.wait_for_text(json.loads(f'"{NASTY}"'))
    assert browser.run("return document.images.length") == 0


def failing(daemon, browser):
    """A missing rule is shown first, and not only by its colour."""
    daemon.undefine("rule_7")
    browser.wait_for_text("1 failing")
    first = browser.run("return document.querySelectorAll('tbody')[1].rows[0].innerText")
    assert "feature-7" in first and "failing" in first and "undefined" in first, first


def held(daemon, browser):
    """A change beyond the removal limit is shown as held, with its numbers."""
    daemon.allow(["ann"], only="rule_8")
    browser.wait_for_text("it would remove 3 of 4 users")


def mended(daemon, browser):
    """A resolved failure disappears."""
    daemon.allow(["ann", "bob", "eve", "zoe"])
    browser.wait_for_text(f"{TOGGLES} in sync")
    assert "failing" not in browser.text(), browser.text()[:500]


def phone(daemon, browser):
    """On a phone, nothing is wider than the screen."""
    for dark in (False, True):
        browser.become_a_phone(dark)
        browser.open(daemon.url)
        wide = browser.run("return document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, wide


def quiet(_daemon, browser):
    """The console is empty, and only the page was loaded."""
    complaints = browser.complaints()
    assert complaints == [], complaints
    entries = browser.run("return performance.getEntriesByType('resource').map(it => it.name)")
    assert entries == [], entries


CHECKS = [
    ("a source without its file is shown as failing", starting),
    ("the page refreshes itself until 500 toggles are in sync", in_sync),
    ("a key that looks like markup is shown as it is", escaped),
    ("a failing toggle is shown first, in words", failing),
    ("a held toggle is shown with its numbers", held),
    ("a resolved failure is shown as in sync again", mended),
    ("the page fits a phone, light and dark", phone),
    ("the console is empty, and nothing else is loaded", quiet),
]

if __name__ == "__main__":
    sys.exit(main())
