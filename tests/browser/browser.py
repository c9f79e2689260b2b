"""Chromium, driven by chromedriver (W3C WebDriver)."""

import base64
import json
import os
import re
import subprocess
import time
import urllib.request

_ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]


class Browser:
    """A browser window."""

    def __init__(self, folder):
        self._complaints = []
        self._log = (folder / "chromedriver.log").open("w+")
        self._driver = subprocess.Popen(  # pylint: disable=consider-using-with
            ["chromedriver", "--port=0"], stdin=subprocess.DEVNULL, stdout=self._log,
            stderr=self._log, env={"PATH": os.defpath, "HOME": str(folder)},
        )
        self._url = f"http://127.0.0.1:{self._port()}"
        arguments = [*_ARGUMENTS, f"--user-data-dir={folder / 'profile'}"]
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        body = {"capabilities": {"alwaysMatch": capabilities}}
        session = self._call("POST", "/session", body)["sessionId"]
        self._url += f"/session/{session}"

    def open(self, url):
        """Opens a page and waits until it is loaded."""
        self._call("POST", "/url", {"url": url})

    def run(self, script):
        """Runs a script in the page and returns its result."""
        return self._call("POST", "/execute/sync", {"script": script, "args": []})

    def text(self):
        """All visible text."""
        return self.run("return document.body.innerText")

    def wait_for_text(self, text, limit=30):
        """Waits until the page shows this text, which requires it to refresh itself."""
        end = time.monotonic() + limit
        while text not in (seen := self.text()):
            if time.monotonic() > end:
                raise AssertionError(f"{text!r} is not shown after {limit} s: {seen[:500]}")
            time.sleep(0.1)
        self._listen()

    def become_a_phone(self, dark):
        """Switches to a small window with a light or dark scheme."""
        self._call("POST", "/window/rect", {"width": 500, "height": 900})
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        command = {"cmd": "Emulation.setEmulatedMedia", "params": {"features": scheme}}
        self._call("POST", "/goog/cdp/execute", command)

    def picture(self, path):
        """Saves a screenshot."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def stop(self):
        """Stops the browser and its driver."""
        try:
            self._call("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait(10)
            self._log.close()

    def complaints(self):
        """All console messages so far."""
        self._listen()
        return self._complaints

    def _listen(self):
        # Each entry is returned only once.
        self._complaints += self._call("POST", "/se/log", {"type": "browser"})

    def _port(self):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            self._log.seek(0)
            if found := re.search(r"started successfully on port (\d+)", self._log.read()):
                return found.group(1)
            time.sleep(0.05)
        raise AssertionError("chromedriver did not start")

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]
