"""An OPA without OPAL that fetches its policy and its data as separate bundles."""

import gzip
import http.server
import io
import json
import tarfile
import threading
import time
from contextlib import contextmanager

import web
from processes import Service, free_ports, wait_for
from stack import PACKAGE, RULES
from world import USERS, World

POLICY = "policy.tar.gz"
DATA = "data.tar.gz"


class BundleServer:
    """Serves a world on loopback: its policy at once, its users after a delay."""

    def __init__(self, world):
        self.world = world
        # Delay of the data bundle in seconds. While OPA waits, it has the policy but no users.
        self.delay = 0.0
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()

    def _bundle(self, name):
        if name == POLICY:
            rules = (self.world.repository / "rbac.rego").read_bytes()
            return _tar({".manifest": _manifest(PACKAGE.replace(".", "/")), "rbac.rego": rules})
        time.sleep(self.delay)
        users = json.dumps({"users": self.world.directory.users}).encode()
        return _tar({".manifest": _manifest("users"), "data.json": users})

    def _handler(self):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Responds with the current bundle."""

            def do_GET(self):  # pylint: disable=invalid-name
                # pylint: disable-next=protected-access
                body = server._bundle(self.path.rpartition("/")[2])
                self.send_response(200)
                self.send_header("Content-Type", "application/gzip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass  # OPA was killed while it waited

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        return Handler


class BundledOpa:
    """An OPA that polls a bundle server every second."""

    def __init__(self, opa, server, folder):
        self._world = server.world
        self.url = f"http://127.0.0.1:{free_ports(1)[0]}"
        bundle = {"service": "bundles", "polling": {"min_delay_seconds": 1, "max_delay_seconds": 1}}
        config = {
            "services": {"bundles": {"url": server.url}},
            "bundles": {
                "policy": {**bundle, "resource": POLICY},
                "data": {**bundle, "resource": DATA},
            },
        }
        path = folder / "opa.json"
        path.write_text(json.dumps(config))
        command = [
            opa, "run", "--server", "--addr", self.url.partition("//")[2],
            "--config-file", path, "--disable-telemetry",
        ]
        self.service = Service("opa-with-bundles", command, {}, folder)

    def start_without_data(self):
        """Starts it, and waits until its rules return empty sets and a bundle is missing."""
        self.service.start()
        empty = {key: [] for key in RULES}
        wait_for("OPA to return empty sets", self.rules, empty.__eq__)
        wait_for("OPA to miss a bundle", self.health, (500).__eq__)

    def wait_until_loaded(self, limit=20.0):
        """Waits until OPA has all bundles and its rules return the expected users."""
        self.service.start()
        wait_for("OPA to have its bundles", self.health, (200).__eq__, limit)
        wanted = self._world.users_of_toggles()
        wait_for(f"the rules to return {wanted}", self.rules, wanted.__eq__, limit)

    def health(self):
        """The status of OPA's bundles: 200 once all are active."""
        return web.status(f"{self.url}/health?bundles")

    def rules(self):
        """OPA's result for each toggle; None for an undefined rule."""
        base = f"{self.url}/v1/data/{PACKAGE.replace('.', '/')}"
        return {key: web.get(f"{base}/{rule}").get("result") for key, rule in RULES.items()}


@contextmanager
def bundled_opa(opa, folder):
    """An OPA that is not started yet, and a bundle server with its own world."""
    folder.mkdir()
    world = World(folder, free_ports(1)[0], USERS)
    server = BundleServer(world)
    bundled = BundledOpa(opa, server, folder)
    try:
        yield server, bundled
    finally:
        bundled.service.kill()
        server.close()
        world.directory.close()


def _manifest(root):
    return json.dumps({"revision": "1", "roots": [root]}).encode()


def _tar(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue())
