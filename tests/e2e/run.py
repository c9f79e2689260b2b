#!/usr/bin/env python3
"""Runs optoggles with a real OPAL server, OPAL client, OPA, REST server and Unleash, on loopback.

    python3 tests/e2e/run.py --bin target/release/optoggles

The programs it needs are installed into ${OPTOGGLES_E2E_CACHE:-~/.cache/optoggles-e2e} once.
Prints a line for each check, then "N passed, N failed"; exits 0 only if none failed.
"""

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.dont_write_bytecode = True  # keep the tree clean

# pylint: disable=wrong-import-position
import tools
# The order of these is the order of the checks.
import checks_sync  # pylint: disable=unused-import
import checks_flags  # pylint: disable=unused-import
import checks_readme  # pylint: disable=unused-import
import checks_recipes  # pylint: disable=unused-import
import checks_openfeature  # pylint: disable=unused-import
import checks_unleash  # pylint: disable=unused-import
import checks_unleash_serve  # pylint: disable=unused-import
import checks_unleash_owner  # pylint: disable=unused-import
import checks_tls  # pylint: disable=unused-import
import checks_serve  # pylint: disable=unused-import
import checks_restarts  # pylint: disable=unused-import
import checks_outages  # pylint: disable=unused-import
import checks_starts  # pylint: disable=unused-import
import checks_bundles  # pylint: disable=unused-import
import checks_secure  # pylint: disable=unused-import
import checks_chaos  # pylint: disable=unused-import
from checks import CHECKS
from lab import Lab
from processes import Unmet
from stack import Stack
from unleash import Unleash

# For everything after the installation of tools, except chaos. A run takes about half of it.
LIMIT = 900


class Report:
    """Prints each check as it ends and counts."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def attempt(self, sentence, function, picture=lambda: None):
        """Runs one check; returns whether it passed."""
        start = time.monotonic()
        try:
            function()
        except Exception as error:  # pylint: disable=broad-exception-caught
            self._line("FAIL", sentence, start)
            self.failed += 1
            _explain(error)
            picture()
            return False
        self._line("ok  ", sentence, start)
        self.passed += 1
        return True

    def _line(self, word, sentence, start):
        print(f"{word} {sentence} ({time.monotonic() - start:.1f} s)", flush=True)


def main():
    """Parses the command line, runs all checks and prints the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bin", required=True, type=Path, help="the optoggles to test")
    parser.add_argument("--chaos", type=int, default=60, metavar="SECONDS",
                        help="duration of the random kills (default: 60)")
    parser.add_argument("--chaos-seed", type=int, metavar="NUMBER",
                        help="the seed of an earlier run")
    options = parser.parse_args()
    options.bin = options.bin.absolute()
    if not options.bin.is_file():
        parser.error(f"no such file: {options.bin}")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, _interrupt)
    report = Report()
    try:
        _run(report, options)
    except KeyboardInterrupt as why:
        report.failed += 1
        print(f"FAIL interrupted {why}")
    print(f"{report.passed} passed, {report.failed} failed", flush=True)
    return 1 if report.failed else 0


def _run(report, options):
    installed = []
    if not report.attempt(
        "the tools are installed", lambda: installed.append(tools.install(tools.cache_folder()))
    ):
        return
    signal.alarm(LIMIT + options.chaos)
    folder = Path(tempfile.mkdtemp(prefix="optoggles-e2e-"))
    with contextlib.ExitStack() as at_the_end:
        at_the_end.push(lambda error, *_: _put_away(folder, report.failed or error))
        stack = Stack(installed[0], folder)
        at_the_end.callback(stack.stop)
        unleash = Unleash(installed[0], folder)
        at_the_end.callback(unleash.stop)
        lab = Lab(options.bin, stack)
        lab.unleash = unleash
        lab.chaos_seconds, lab.chaos_seed = options.chaos, options.chaos_seed
        at_the_end.callback(lab.stop)
        if report.attempt("OPAL, OPA and the target are up", stack.start, lambda: _logs(lab)):
            for sentence, function in CHECKS:
                report.attempt(sentence, lambda: function(lab), lambda: _logs(lab))
        signal.alarm(0)


def _put_away(folder, failed):
    if failed:
        print(f"     logs and files are in {folder}")
    else:
        shutil.rmtree(folder)


def _explain(error):
    if isinstance(error, Unmet):
        _indented(f"expected: {error.expected}")
        _indented(f"seen:     {error.seen}")
    elif isinstance(error, tools.ToolError):
        _indented(error)
    else:
        _indented("".join(traceback.format_exception(error)))


def _logs(lab):
    """Prints the end of every log."""
    for service in (lab.serve, *reversed([*lab.stack.services, *lab.unleash.services])):
        _indented(f"---- {service.log.name}, the end of it:")
        _indented(service.tail())


def _indented(text):
    print("\n".join(f"     {line}" for line in str(text).splitlines()), flush=True)


def _interrupt(number, _frame):
    raise KeyboardInterrupt(f"by {signal.Signals(number).name}")


if __name__ == "__main__":
    sys.exit(main())
