"""Runs checks, prints a line for each, and counts."""

import time


def run(checks, *about, after=lambda number: None):
    """Runs each of the (sentence, check) with `about`; the exit status. `after` is told which it was."""
    failed = 0
    for number, (sentence, check) in enumerate(checks, start=1):
        start = time.monotonic()
        word = "ok  "
        try:
            check(*about)
        except Exception as error:  # pylint: disable=broad-exception-caught
            word = "FAIL"
            failed += 1
            print(f"     {error!r}", flush=True)
        print(f"{word} {sentence} ({time.monotonic() - start:.1f} s)", flush=True)
        after(number)
    print(f"{len(checks) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0
