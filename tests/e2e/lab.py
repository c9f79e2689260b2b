"""The program under test: its configuration, commands and daemon."""

import json
import secrets
import subprocess
import threading
from dataclasses import dataclass

import web
from processes import Service, Unmet, clean_environment, expect, wait_for
from stack import PACKAGE, RULES

SOURCE = "example-opal"

# How long a change may take to reach the target after a callback, and how long everything may take
# to recover after an outage: the registration is checked every 30 s.
LIVE = 2.0
RECOVERY = 45.0


@dataclass(frozen=True)
class Run:
    """The exit code and output of an optoggles command."""

    code: int
    out: str
    err: str

    def __str__(self):
        return f"exit {self.code}\n{self.out}{self.err}"


class Lab:
    """optoggles with a running stack."""

    def __init__(self, binary, stack):
        self.stack = stack
        self.binary = binary
        self.unleash = None
        self.chaos_seconds, self.chaos_seed = 60, None
        self.url = f"http://127.0.0.1:{stack.optoggles_port}"
        # Must never be shown: the configured secret, and each callback token seen.
        self.target_token = secrets.token_hex(16)
        self.secrets = {self.target_token}
        self._env = {"FLAGS_TOKEN": self.target_token}
        self.commands_log = stack.folder / "optoggles-commands.log"
        self.config = self.write_config("optoggles.toml", RULES)
        command = [binary, "-c", self.config, "-vv", "serve"]
        self.serve = Service("optoggles-serve", command, self._env, stack.folder)

    def write_config(self, name, rules, source=None, target=None):
        """Writes a configuration with a toggle for each rule and returns its path.

        The default source is the stack's OPAL client, the default target its REST target.
        """
        stack = self.stack
        rest = [
            'type = "restapi"',
            f'endpoint_url = "{stack.target_url}/toggles"',
            'extra_headers = { Authorization = "Bearer ${FLAGS_TOKEN}" }',
            "read = true",
        ]
        address = f"127.0.0.1:{stack.optoggles_port}"
        lines = [
            f'bind = "{address}"',
            # A limit would hide what the checks look for: trusting OPA too early.
            'max_removal = "100%"',
            "",
            "[[sources]]",
            f'id = "{SOURCE}"',
            source or f'url = "{stack.opal_url}"\nadvertised_address = "{address}"',
            "",
            "[target]",
            *(target or rest),
        ]
        for key, rule in rules.items():
            policy = f'{{ source = "{SOURCE}", package = "{PACKAGE}", rule = "{rule}" }}'
            lines += ["", "[[toggles]]", f'key = "{key}"', f"users_policy = {policy}"]
            lines += [] if target else ["[toggles.spec]", f'name = "The users of {rule}"']
        path = stack.folder / name
        path.write_text("\n".join(lines) + "\n")
        return path

    def run(self, *arguments, config=None):
        """Runs an optoggles command to completion."""
        command = [str(self.binary), "-c", str(config or self.config), *arguments]
        try:
            done = subprocess.run(
                command, env={**clean_environment(), **self._env}, cwd=self.stack.folder,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Unmet(f"{' '.join(arguments)} to end within 90 s", "it runs") from error
        with self.commands_log.open("a") as log:
            log.write(f"$ optoggles {' '.join(arguments)}\n{done.stdout}{done.stderr}")
            log.write(f"(exit {done.returncode})\n")
        return Run(done.returncode, done.stdout, done.stderr)

    def health(self, route="/health"):
        """The status of a health route."""
        self.serve.expect_running()
        return web.status(f"{self.url}{route}")

    def wait_for_health(self, wanted, limit=RECOVERY):
        """Waits until /health answers `wanted`."""
        return wait_for(f"/health to answer {wanted}", self.health, wanted.__eq__, limit)[1]

    def reports_hold(self):
        """Whether /status or /health shows that the source is not ready or failing."""
        states = [source["state"] for source in web.get(f"{self.url}/status")["sources"]]
        return states != ["connected"] or self.health() == 500

    def wait_for_target(self, limit):
        """Waits until the target has exactly the users of the rules; returns the seconds."""
        wanted = self.stack.world.users_of_toggles()
        return wait_for(f"the target to have {wanted}", self.stack.toggles, wanted.__eq__, limit)[1]

    def change_data(self):
        """Moves eve in or out of us-feature, waits until OPA has it, returns all users."""
        self.stack.move("eve")
        self.stack.wait_for_opa(5)
        return self.stack.world.users_of_toggles()

    def picture(self):
        """What wait_until_right compares."""
        return {
            "rules": self.stack.rules(),
            "target": self.stack.toggles(),
            "/health": self.health(),
            "callbacks": len(self.stack.callbacks()),
        }

    def wait_until_right(self, limit=RECOVERY):
        """Waits until OPA, the target, the health and the registration are right."""
        users = self.stack.world.users_of_toggles()
        wanted = {"rules": users, "target": users, "/health": 200, "callbacks": 1}
        took = wait_for(json.dumps(wanted), self.picture, wanted.__eq__, limit)[1]
        self.learn_callback_token()
        return took

    def learn_callback_token(self):
        """Remembers the registered callback token, to search logs for it."""
        for one in self.stack.callbacks().values():
            bearer = one["config"]["headers"]["Authorization"]
            expect(bearer.startswith("Bearer "), "a bearer token in the registration", one["url"])
            self.secrets.add(bearer.removeprefix("Bearer "))

    def bring_everything_up(self):
        """Restores the initial state of an outage check after any other check."""
        self.stack.world.directory.delay = 0.0
        self.stack.start()
        self.serve.start()
        self.wait_until_right()

    def stop(self):
        """Kills the daemon, if it runs."""
        self.serve.kill()


class Watch:
    """Polls a probe and keeps every state seen."""

    def __init__(self, look):
        self._probe = look
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.states = []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def expect_only(self, *allowed):
        """Fails if any other state was seen."""
        others = [state for state in self.states if state not in allowed]
        expect(not others, f"never anything but {allowed}", others)
        expect(self.states, f"{allowed} to be seen at all", "nothing")

    def _look(self):
        while not self._done.wait(0.02):
            try:
                state = self._probe()
            except OSError:
                continue
            if not self.states or self.states[-1] != state:
                self.states.append(state)
