#!/usr/bin/env python3
"""Lets a real Prometheus scrape a running daemon, and promtool check the alert rules and metrics.

    python3 tests/prometheus/run.py --bin target/release/optoggles

Needs Debian's package prometheus, and listens on loopback only. Prints a line for each check,
then "N passed, N failed"; exits 0 only if none failed.
"""

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # keep the tree clean

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
    """Parses the command line, runs all checks in order."""
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
    """promtool accepts the alert rules, and their unit tests pass."""
    promtool("check", "rules", RULES)
    promtool("test", "rules", RULES_TEST)


def scraped(_daemon, prometheus):
    """All series arrive, without scrape errors."""
    prometheus.wait_for("up", 1)
    prometheus.wait_for("sum(optoggles_toggle_in_sync)", TOGGLES)
    prometheus.wait_for('optoggles_toggle_users{toggle="feature-7", source="files"}', 4)
    prometheus.wait_for('optoggles_target_paused{target="flagd"}', 0)
    prometheus.wait_for("optoggles_build_info", 1)


def conventions(daemon, _prometheus):
    """promtool accepts all names, types and help texts."""
    with OPENER.open(daemon.url + "metrics", timeout=10) as answer:
        text = answer.read()
    said = promtool("check", "metrics", text=text)
    assert said == "", said


def counted(_daemon, prometheus):
    """Counters and the histogram can be queried as such."""
    prometheus.wait_for('optoggles_callbacks_total{result="accepted"}', 0)
    passes = "sum(optoggles_passes_total) - sum(optoggles_pass_duration_seconds_count)"
    prometheus.wait_for(passes, 0)
    quantile = "histogram_quantile(0.5, optoggles_pass_duration_seconds_bucket) < bool 60"
    prometheus.wait_for(quantile, 1)


def alerted(daemon, prometheus):
    """A held toggle makes its alert pending; a resolved one clears it."""
    pending = 'ALERTS{alertname="OptogglesToggleHeld", toggle="feature-8"}'
    daemon.allow(["ann"], only="rule_8")
    prometheus.wait_for(pending, 1)
    daemon.allow(["ann", "bob", "eve", "zoe"])
    prometheus.wait_for(f"absent({pending})", 1)


def dashboard(_daemon, prometheus):
    """Prometheus accepts every query of the dashboard."""
    asked = 0
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$instance", ".*")
            prometheus.ask(expression.replace("$__rate_interval", "1m"))
            asked += 1
    assert asked > 10, asked


def promtool(*arguments, text=None):
    """Runs promtool and returns its output."""
    done = subprocess.run(
        ["promtool", *arguments], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=60, check=False,
    )
    said = done.stdout.decode()
    assert done.returncode == 0, said
    return said


CHECKS = [
    ("the alert rules are valid, and pass their tests", rules),
    ("Prometheus scrapes a daemon with 100 toggles", scraped),
    ("names, types and help texts follow the conventions", conventions),
    ("counters and the histogram can be queried", counted),
    ("an alert comes and goes", alerted),
    ("every expression of the dashboard is valid", dashboard),
]

if __name__ == "__main__":
    sys.exit(main())
