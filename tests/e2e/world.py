"""What OPAL loads: the policy from a git repository, and the users from a directory."""

import contextlib
import copy
import http.server
import json
import os
import subprocess
import threading
import time

US_USERS = "us-feature"
BILLING_USERS = "billing-feature"

USERS = {
    "alice": {"location": {"country": "US"}, "roles": ["admin", "billing"]},
    "bob": {"location": {"country": "US"}, "roles": ["employee"]},
    "eve": {"location": {"country": "IL"}, "roles": ["billing"]},
}

# Users that careless JSON or rule handling would get wrong.
ODD_USERS = [
    'say "hi"', "back\\slash", "$ref", '{"var": ""}', "ünï", "a,b", "alic", "alice ",
]

_POLICY = """\
package app.rbac

import rego.v1

us_users contains user if {{
	some user
	data.users[user].location.country in {countries}
}}

billing_users contains user if {{
	some user
	"billing" in data.users[user].roles
}}
"""


class World:
    """The expected policy and users, and the resulting users of each toggle."""

    def __init__(self, folder, port, users):
        self.repository = folder / "policy"
        self.directory = Directory(port, users)
        self.countries = ["US"]
        self._make_repository()

    def users_of_toggles(self):
        """The expected result of the rules, computed without OPA."""
        users = self.directory.users
        return {
            US_USERS: sorted(
                name for name, user in users.items()
                if user["location"]["country"] in self.countries
            ),
            BILLING_USERS: sorted(
                name for name, user in users.items() if "billing" in user["roles"]
            ),
        }

    def commit_countries(self, countries):
        """Changes the policy: users of these countries count as us_users."""
        self.countries = list(countries)
        self._write_policy()
        self._git("commit", "--quiet", "--all", "--message", f"Countries: {countries}")

    def _make_repository(self):
        self.repository.mkdir()
        self._git("init", "--quiet")
        self._git("symbolic-ref", "HEAD", "refs/heads/master")
        self._write_policy()
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "The rules")

    def _write_policy(self):
        countries = "{" + ", ".join(json.dumps(country) for country in self.countries) + "}"
        (self.repository / "rbac.rego").write_text(_POLICY.format(countries=countries))

    def _git(self, *arguments):
        who = {}
        for role in ("AUTHOR", "COMMITTER"):
            who[f"GIT_{role}_NAME"] = "e2e"
            who[f"GIT_{role}_EMAIL"] = "e2e@localhost"
        subprocess.run(
            ["git", *arguments],
            cwd=self.repository, env={**os.environ, **git_settings(), **who},
            check=True, timeout=30,
        )


class Directory:
    """The users, served on loopback: OPAL's data source."""

    def __init__(self, port, users):
        self.url = f"http://127.0.0.1:{port}/users"
        self.users = copy.deepcopy(users)
        # Delay of each response in seconds. While OPAL waits, OPA has the policy but no users.
        self.delay = 0.0
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def move(self, user, location=None):
        """Moves a user, by default in or out of the US, and returns the location.

        This is not published: OPAL notices when it next loads the users.
        """
        if location is None:
            inside = self.users[user]["location"]["country"] == "US"
            location = {"country": "FR" if inside else "US"}
        self.users[user]["location"] = location
        return location

    def close(self):
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self):
        directory = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Answers every GET with all users."""

            def do_GET(self):  # pylint: disable=invalid-name
                time.sleep(directory.delay)
                body = json.dumps(directory.users).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                # The client may have been killed meanwhile.
                with contextlib.suppress(ConnectionError):
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        return Handler


def git_settings():
    """Lets git read the repository of any owner, and ignores global settings."""
    return {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
