"""Runs checks and prints a line for each."""

import time


def run(checks, *about, after=lambda number: None):
    """Runs each (sentence, check); returns the exit status. `after` gets the check's number."""
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
