#!/usr/bin/env python3
"""Has a real Prometheus scrape a running daemon, and promtool judge what is shipped for it.

    python3 tests/prometheus/run.py --bin target/release/optoggles

Needs Debian's package prometheus, and listens on loopback only. Prints a line for each check and,
last, "N passed, N failed"; exits 0 only if none failed.
"""

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # the tree stays as it was

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "browser"))  # the daemon and the report are the same

# pylint: disable=wrong-import-position
import report
from daemon import Daemon
from server import OPENER, Prometheus

RULES = ROOT / "contrib" / "prometheus" / "alerts.yml"
RULES_TEST = ROOT / "contrib" / "prometheus" / "alerts_test.yml"
DASHBOARD = ROOT / "contrib" / "grafana" / "dashboard.json"
TOGGLES = 100


def main():
    """Parses the command line, runs all checks in their order."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bin", required=True, type=Path, help="the optoggles to test")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="optoggles-prometheus-"))
    with contextlib.ExitStack() as at_the_end:
        at_the_end.callback(shutil.rmtree, folder)
        keys = [f"feature-{number}" for number in range(TOGGLES)]
        daemon = Daemon(options.bin.absolute(), folder, keys, max_removal="50%")
        at_the_end.callback(daemon.stop)
        daemon.allow(["ann", "bob", "eve", "zoe"])
        prometheus = Prometheus(folder, daemon.url, RULES)
        at_the_end.callback(prometheus.stop)
        return report.run(CHECKS, daemon, prometheus)


def rules(_daemon, _prometheus):
    """promtool takes the alert rules, and their unit tests pass."""
    promtool("check", "rules", RULES)
    promtool("test", "rules", RULES_TEST)


def scraped(_daemon, prometheus):
    """Every series of the daemon arrives, whole scrapes without an error."""
    prometheus.wait_for("up", 1)
    prometheus.wait_for("sum(optoggles_toggle_in_sync)", TOGGLES)
    prometheus.wait_for('optoggles_toggle_users{toggle="feature-7", source="files"}', 4)
    prometheus.wait_for("optoggles_build_info", 1)


def conventions(daemon, _prometheus):
    """promtool has nothing to say of names, types and helps."""
    with OPENER.open(daemon.url + "metrics", timeout=10) as answer:
        text = answer.read()
    said = promtool("check", "metrics", text=text)
    assert said == "", said


def counted(_daemon, prometheus):
    """Counters and the histogram can be asked as such."""
    prometheus.wait_for('optoggles_callbacks_total{result="accepted"}', 0)
    passes = "sum(optoggles_passes_total) - sum(optoggles_pass_duration_seconds_count)"
    prometheus.wait_for(passes, 0)
    quantile = "histogram_quantile(0.5, optoggles_pass_duration_seconds_bucket) < bool 60"
    prometheus.wait_for(quantile, 1)


def alerted(daemon, prometheus):
    """A held toggle is an alert that waits for its time to fire; one that is mended is none."""
    pending = 'ALERTS{alertname="OptogglesToggleHeld", toggle="feature-8"}'
    daemon.allow(["ann"], only="rule_8")
    prometheus.wait_for(pending, 1)
    daemon.allow(["ann", "bob", "eve", "zoe"])
    prometheus.wait_for(f"absent({pending})", 1)


def dashboard(_daemon, prometheus):
    """Prometheus understands all that the dashboard asks."""
    asked = 0
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$instance", ".*")
            prometheus.ask(expression.replace("$__rate_interval", "1m"))
            asked += 1
    assert asked > 10, asked


def promtool(*arguments, text=None):
    """Runs it, and gives what it says."""
    done = subprocess.run(
        ["promtool", *arguments], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=60, check=False,
    )
    said = done.stdout.decode()
    assert done.returncode == 0, said
    return said


CHECKS = [
    ("the alert rules are right, and do what their tests say", rules),
    ("Prometheus scrapes a daemon with 100 toggles", scraped),
    ("names, types and helps are by the conventions", conventions),
    ("counters and the histogram can be asked", counted),
    ("an alert comes and goes", alerted),
    ("every expression of the dashboard is understood", dashboard),
]

if __name__ == "__main__":
    sys.exit(main())
