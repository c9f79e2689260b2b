"""A Prometheus on loopback that scrapes one daemon each second."""

import json
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request

LIMIT = 60

# Ignores proxies from the environment: all servers are on loopback.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Prometheus:
    """A running Prometheus with some alert rules."""

    def __init__(self, folder, daemon_url, rules):
        port = _free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._log = folder / "prometheus.log"
        config = folder / "prometheus.yml"
        address = daemon_url.removeprefix("http://").rstrip("/")
        config.write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
            f"rule_files: [{json.dumps(str(rules))}]\n"
            "scrape_configs:\n"
            f"  - {{job_name: optoggles, static_configs: [{{targets: [\"{address}\"]}}]}}\n"
        )
        with self._log.open("w") as log:
            self._process = subprocess.Popen(  # pylint: disable=consider-using-with
                [
                    "prometheus", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}",
                    f"--storage.tsdb.path={folder / 'data'}",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )

    def ask(self, expression):
        """The current result of an expression: a list of samples."""
        query = urllib.parse.urlencode({"query": expression})
        with OPENER.open(f"{self._url}/api/v1/query?{query}", timeout=10) as answer:
            return json.load(answer)["data"]["result"]

    def wait_for(self, expression, value):
        """Waits until the expression has one sample with this value."""
        end = time.monotonic() + LIMIT
        result = None
        while time.monotonic() < end:
            try:
                result = self.ask(expression)
                if [float(sample["value"][1]) for sample in result] == [value]:
                    return
            except OSError as error:
                result = error
            time.sleep(0.1)
        raise AssertionError(f"{expression} is not {value}: {result}\n{self._log.read_text()}")

    def stop(self):
        """Stops it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
