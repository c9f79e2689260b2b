"""Unleash with a PostgreSQL of its own, and what its SDKs make of its features."""

import json
import os
import secrets
import shutil
import subprocess
from functools import partial
from pathlib import Path

import web
from processes import Service, Unmet, clean_environment, expect, free_ports, wait_for

# Those that every Unleash has.
ENVIRONMENTS = ("development", "production")
PROJECT = "/api/admin/projects/default"

# Stands for the users of a feature that others than listed ones may have.
OTHERS = "others too"

# Unleash looks once a second whether there is something new to tell SDKs.
_NEWS = 5.0

# PostgreSQL refuses to run as root. This is Debian's user for it.
_OWNER = "postgres"
_AS_OWNER = (
    ["setpriv", f"--reuid={_OWNER}", f"--regid={_OWNER}", "--init-groups"]
    if os.geteuid() == 0 else []
)

_JUDGE = Path(__file__).with_name("judge_unleash.js")


class Unleash:
    """The server and its database, which start and stop separately."""

    def __init__(self, tools, folder):
        self.folder = folder
        self._tools = tools
        self._data = folder / "unleash-database"
        ports = free_ports(2)
        self._port = ports.pop()
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.token = f"*:*.{secrets.token_hex(16)}"
        # Of SDKs, which see a single environment.
        self.tokens = {
            environment: f"default:{environment}.{secrets.token_hex(16)}"
            for environment in ENVIRONMENTS
        }
        self.database = self._database()
        self.server = self._server(ports[0])

    @property
    def services(self):
        """Both services, in start order."""
        return [self.database, self.server]

    def start(self):
        """Starts the services that do not run and waits until they are usable."""
        if not self._data.exists():
            self._make_database()
        self.database.start()
        address = ["-h", "127.0.0.1", "-p", self._port, "-U", "unleash", "-d", "postgres"]
        ready = [self._tools.postgresql / "pg_isready", "-q", *address]
        wait_for("PostgreSQL to be ready", lambda: _run(ready).returncode, (0).__eq__, 30)
        self.server.start()
        health = f"{self.url}/health"
        wait_for("Unleash to be healthy", lambda: web.status(health), (200).__eq__, 60)

    def stop(self):
        """Kills both services."""
        for service in reversed(self.services):
            service.kill()

    def call(self, method, path, body=None):
        """Calls the admin API, as someone does by hand; returns the answer."""
        status, answer = web.call(method, f"{self.url}{path}", body, token=self.token)
        expect(status in range(200, 300), f"{method} {path} to succeed", f"{status} {answer}")
        return answer

    def last_event(self):
        """The number of the last change of anything in Unleash."""
        return max(event["id"] for event in self.events_since(0))

    def events_since(self, number):
        """The last changes of anything in Unleash, not quite in the order of their numbers."""
        events = self.call("GET", "/api/admin/events?limit=100")["events"]
        return [event for event in events if event["id"] > number]

    def strategies(self, feature, environment):
        """The strategies of a feature, with their ids."""
        path = f"{PROJECT}/features/{feature}/environments/{environment}/strategies"
        return self.call("GET", path)

    def kept(self, feature):
        """The users of a feature in each environment."""
        found = web.get(f"{self.url}{PROJECT}/features/{feature}", self.token)
        return {environment["name"]: _users(environment) for environment in found["environments"]}

    def listed(self, environment):
        """The users of each feature that Unleash tells SDKs about."""
        listed = web.get(f"{self.url}/api/client/features", self.tokens[environment])
        return {feature["name"]: _users(feature) for feature in listed["features"]}

    def wait_for_users(self, wanted, limit):
        """Waits until these features have exactly these users in each environment."""
        for key, users in wanted.items():
            kept = dict.fromkeys(ENVIRONMENTS, sorted(users))
            wait_for(f"{key} to have {kept}", partial(self.kept, key), kept.__eq__, limit)

    def expect_users(self, wanted, others, environments=ENVIRONMENTS):
        """Checks that SDKs let in exactly these users of these features.

        The others, and a context without a user, are not let in.
        """
        wanted = {key: sorted(users) for key, users in wanted.items()}
        known = {user for users in wanted.values() for user in users}
        question = {"keys": list(wanted), "users": [*sorted(known.union(others)), None]}
        for environment in environments:
            self._wait_for_news(environment, wanted)
            for name, judge in (("SDK", self._ask_sdk), ("engine", self._ask_engine)):
                found = judge(environment, question)
                expect(found == wanted, f"Unleash's {name} in {environment}: {wanted}", found)

    def _wait_for_news(self, environment, wanted):
        def told():
            listed = self.listed(environment)
            return {key: listed.get(key) for key in wanted}

        wait_for(f"{environment} to have {wanted}", told, wanted.__eq__, _NEWS)

    def _ask_sdk(self, environment, question):
        question = {"url": f"{self.url}/api/", "token": self.tokens[environment], **question}
        env = {"NODE_PATH": str(self._tools.unleash_sdk)}
        return _answer(["node", _JUDGE], question, env)

    def _ask_engine(self, environment, question):
        features = web.get(f"{self.url}/api/client/features", self.tokens[environment])
        return _answer([self._tools.unleash_engine], {"features": features, **question})

    def _make_database(self):
        self._data.mkdir(mode=0o700)
        if _AS_OWNER:
            shutil.chown(self._data, _OWNER, _OWNER)
            # It has to get there.
            self.folder.chmod(0o711)
        initdb = self._tools.postgresql / "initdb"
        command = [*_AS_OWNER, initdb, "-D", self._data, "-U", "unleash", "-A", "trust", "-N"]
        done = _run(command, cwd=self._data)
        expect(done.returncode == 0, "a new database", f"{done.stdout}{done.stderr}")

    def _database(self):
        options = [
            "-D", self._data, "-p", self._port, "-h", "127.0.0.1", "-k", "", "-c", "fsync=off",
        ]
        command = [*_AS_OWNER, self._tools.postgresql / "postgres", *options]
        return Service("postgresql", command, {}, self.folder)

    def _server(self, port):
        env = {
            "DATABASE_HOST": "127.0.0.1",
            "DATABASE_PORT": self._port,
            "DATABASE_USERNAME": "unleash",
            "DATABASE_PASSWORD": "unused",
            "DATABASE_NAME": "postgres",
            "DATABASE_SSL": "false",
            "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": port,
            "CHECK_VERSION": "false",
            "SEND_TELEMETRY": "false",
            "INIT_ADMIN_API_TOKENS": self.token,
            "INIT_BACKEND_API_TOKENS": ",".join(self.tokens.values()),
        }
        return Service("unleash", ["node", self._tools.unleash], env, self.folder)


def _users(feature):
    """Whom a feature lets in, in one environment."""
    if not feature["enabled"]:
        return []
    users = set()
    for strategy in feature["strategies"]:
        lists = [one for one in strategy["constraints"] if one["operator"] == "IN"]
        if len(lists) != 1 or strategy["parameters"]["rollout"] != "100":
            return OTHERS
        users.update(lists[0]["values"])
    return sorted(users) if feature["strategies"] else OTHERS


def _answer(command, question, env=None):
    done = _run(command, json.dumps(question), env)
    if done.returncode != 0 or not done.stdout:
        raise Unmet(f"an answer of {command[-1]}", f"{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def _run(command, text="", env=None, cwd=None):
    return subprocess.run(
        [str(part) for part in command], input=text, env={**clean_environment(), **(env or {})},
        cwd=cwd, capture_output=True, text=True, timeout=60, check=False,
    )
