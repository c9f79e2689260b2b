"""The systems that optoggles stands between: OPAL with its OPA, and the REST target."""

import json

import web
from processes import Service, Unmet, free_ports, wait_for
from world import BILLING_USERS, US_USERS, USERS, World, git_settings

PACKAGE = "app.rbac"
RULES = {US_USERS: "us_users", BILLING_USERS: "billing_users"}


class Stack:
    """OPAL server, OPAL client, OPA and target, which start and stop separately.

    The OPAL client runs OPA, unless `opa_outside`. `settings` are those of the OPAL client, `paths`
    where in OPA it stores the users, one after the other.
    """

    WORLD = World

    # pylint: disable-next=too-many-arguments,too-many-positional-arguments
    def __init__(
        self, tools, folder, users=None, settings=None, opa_outside=False, paths=("/users",)
    ):
        self.folder = folder
        self.tools = tools
        # Tokens for publishing at OPAL's server and for registering callbacks at its client.
        self.publisher_token = None
        self.listener_token = None
        ports = free_ports(6)
        self.optoggles_port = ports.pop()
        self.opal_server_url, self.opal_url, self.opa_url, self.target_url = (
            f"http://127.0.0.1:{ports.pop()}" for _ in range(4)
        )
        self.world = self.WORLD(folder, ports.pop(), users or USERS)
        self._database = folder / "db.json"
        self._database.write_text(json.dumps({"toggles": []}))
        self.opal_server = self._opal_server(paths)
        self.outside_opa = self._outside_opa() if opa_outside else None
        self.opal_client = self._opal_client(settings or {})
        self.target = self._target()

    @property
    def services(self):
        """All services, in start order."""
        opa = [self.outside_opa] if self.outside_opa else []
        return [self.target, self.opal_server, *opa, self.opal_client]

    def start(self):
        """Starts the services that do not run and waits until they are usable."""
        self.target.start()
        self.opal_server.start()
        wait_for("the target to answer", self.toggles, lambda _: True, 20)
        wait_for("opal-server to answer", lambda: web.status(f"{self.opal_server_url}/healthcheck"),
                 lambda status: status == 200, 60)
        if self.outside_opa:
            self.outside_opa.start()
            wait_for("OPA to answer", self.opa_answers, limit=20)
        self.opal_client.start()
        self.wait_for_opa(60)

    def stop(self):
        """Kills all services."""
        for service in reversed(self.services):
            service.kill()
        self.world.directory.close()

    def wait_for_opa(self, limit):
        """Waits until OPAL is ready and OPA's rules are right; returns the seconds."""
        # OPA's system.opal.ready is unreliable: OPAL writes it after each load, and if two loads
        # end together, the older value, false, can remain.
        wait_for("OPAL to be ready", self.ready, (200).__eq__, limit)
        wanted = self.world.users_of_toggles()
        return wait_for(f"the rules to return {wanted}", self.rules, wanted.__eq__, limit)[1]

    def ready(self):
        """The OPAL client's readiness: 200 once it has loaded a policy and data."""
        return web.status(f"{self.opal_url}/ready")

    def make_readiness_stale(self):
        """Leaves "not ready" in OPA, as OPAL itself sometimes does when two loads end together."""
        policy = f"{self.opa_url}/v1/policies/engine/healthcheck/opal.rego"
        text = web.get(policy)["result"]["raw"]
        stale = text.replace("default ready = true", "default ready = false")
        web.call("PUT", policy, stale)
        said = web.get(f"{self.opa_url}/v1/data/system/opal/ready")["result"]
        if said is not False:
            raise Unmet("OPA to report that it is not ready", said)

    def opa_answers(self):
        """Whether OPA can be reached."""
        try:
            return web.status(f"{self.opa_url}/health") == 200
        except OSError:
            return False

    def rules(self):
        """OPA's result for each toggle; None for an undefined rule."""
        base = f"{self.opa_url}/v1/data/{PACKAGE.replace('.', '/')}"
        return {key: web.get(f"{base}/{rule}").get("result") for key, rule in RULES.items()}

    def location(self, user):
        """The user's location in OPA."""
        return web.get(f"{self.opa_url}/v1/data/users/{user}/location").get("result")

    def toggles(self):
        """The users of each toggle at the target."""
        held = web.get(f"{self.target_url}/toggles")
        return {toggle["key"]: toggle.get("users") for toggle in held}

    def callbacks(self):
        """The callbacks registered by optoggles, by key, as OPAL shows them."""
        listed = web.get(f"{self.opal_url}/callbacks", self.listener_token)
        return {one["key"]: one for one in listed if one["key"].startswith("optoggles:")}

    def move(self, user, location=None):
        """Moves a user in the directory, and publishes that through opal-server."""
        location = self.world.directory.move(user, location)
        self.publish(f"/users/{user}/location", location)

    def policy(self):
        """The rules in OPA."""
        return web.get(f"{self.opa_url}/v1/policies/rbac.rego")["result"]["raw"]

    def load_data(self):
        """Makes OPAL load all data again, in the background."""
        status, answer = web.call("POST", f"{self.opal_url}/data-updater/trigger")
        if status != 200:
            raise Unmet("OPAL to load all data", f"{status} {answer}")

    def publish(self, path, data):
        """Publishes a data update: OPAL stores `data` at `path` in OPA, then calls back."""
        entry = {
            "url": "", "data": data, "topics": ["policy_data"],
            "dst_path": path, "save_method": "PUT",
        }
        update = {"entries": [entry], "reason": f"a change at {path}"}
        url = f"{self.opal_server_url}/data/config"
        status, answer = web.call("POST", url, update, token=self.publisher_token)
        if status != 200:
            raise Unmet("opal-server to accept a data update", f"{status} {answer}")

    def _opal_server(self, paths):
        port = self.opal_server_url.rpartition(":")[2]
        users = {"url": self.world.directory.url, "topics": ["policy_data"]}
        entries = [{**users, "dst_path": path} for path in paths]
        env = {
            **git_settings(),
            "OPAL_SERVER_HOST": "127.0.0.1",
            "OPAL_SERVER_BIND_PORT": port,
            "OPAL_WS_LOCAL_URL": f"ws://127.0.0.1:{port}/ws",
            "OPAL_POLICY_REPO_URL": self.world.repository.as_uri(),
            "OPAL_POLICY_REPO_MAIN_BRANCH": "master",
            "OPAL_POLICY_REPO_POLLING_INTERVAL": 2,
            "OPAL_POLICY_REPO_CLONE_PATH": self.folder / "clone",
            "OPAL_LEADER_LOCK_FILE_PATH": self.folder / "leader.lock",
            "OPAL_DATA_CONFIG_SOURCES": json.dumps({"config": {"entries": entries}}),
            "OPAL_LOG_COLORIZE": False,
            "UVICORN_NUM_WORKERS": 1,
        }
        command = [self.tools.opal_server, "run", "--engine-type", "uvicorn"]
        return Service("opal-server", command, env, self.folder)

    def _outside_opa(self):
        address = self.opa_url.partition("//")[2]
        command = [self.tools.opa, "run", "--server", "--addr", address, "--disable-telemetry"]
        return Service("opa", command, {}, self.folder)

    def _opal_client(self, settings):
        env = {
            "OPAL_SERVER_URL": self.opal_server_url,
            "OPAL_CLIENT_API_SERVER_HOST": "127.0.0.1",
            "OPAL_CLIENT_API_SERVER_PORT": self.opal_url.rpartition(":")[2],
            "OPAL_POLICY_STORE_URL": self.opa_url,
            "OPAL_INLINE_OPA_ENABLED": self.outside_opa is None,
            "OPAL_INLINE_OPA_EXEC_PATH": self.tools.opa,
            "OPAL_INLINE_OPA_CONFIG": json.dumps({"addr": self.opa_url.partition("//")[2]}),
            "OPAL_SHOULD_REPORT_ON_DATA_UPDATES": True,
            "OPAL_OPA_HEALTH_CHECK_POLICY_ENABLED": True,
            "OPAL_LOG_COLORIZE": False,
            **settings,
        }
        command = [self.tools.opal_client, "run", "--engine-type", "uvicorn"]
        return Service("opal-client", command, env, self.folder)

    def _target(self):
        port = self.target_url.rpartition(":")[2]
        command = [self.tools.json_server, "--host", "127.0.0.1", "--port", port, "--id", "key"]
        looks = r"GET /toggles 200"  # our own polling
        return Service("json-server", [*command, self._database], {}, self.folder, looks)
