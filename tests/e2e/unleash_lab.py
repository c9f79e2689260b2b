"""optoggles with Unleash as its target: configurations, commands and the daemon."""

import json
import re
from contextlib import contextmanager

import web
from lab import RECOVERY
from processes import Service, expect, wait_for
from unleash import ENVIRONMENTS, PROJECT

REQUEST = re.compile(r"request (\w+) https?://[^/ ]+(/api/\S+) status=(\d+)")


def sync(lab, config):
    """Runs a sync that succeeds, with its debug log."""
    run = lab.run("-vv", "sync", config=config)
    expect(run.code == 0, "exit 0", run)
    return run


def changes(log, place=""):
    """The requests in a debug log that change something in this place of the project."""
    begin = f"{PROJECT}/features/{place}"
    return [
        f"{method} {path.removeprefix(begin)}"
        for method, path, _ in REQUEST.findall(log) if method != "GET" and path.startswith(begin)
    ]


def write_features(lab, name, users, environments=ENVIRONMENTS):
    """A configuration of these features; the users come from a file."""
    spec = f"environments = {json.dumps(environments)}"
    return write_config(lab, name, list(users), write_users(lab, name, users), spec)


def write_users(lab, name, users):
    """Writes the file of users, and returns the lines of its source."""
    path = lab.stack.folder / f"{name}.json"
    rules = {_rule(key): list(of_rule) for key, of_rule in users.items()}
    path.write_text(json.dumps({"result": {"app": {"rbac": rules}}}))
    return f'type = "file"\npath = "{path}"'


# pylint: disable-next=too-many-arguments
def write_config(lab, name, rules, source=None, spec=None, *, token=None):
    """A configuration with Unleash; a list of rules is one of features, each with its rule."""
    secret = lab.stack.folder / f"{name}.token"
    secret.touch(0o600)
    secret.write_text(token or lab.unleash.token)
    target = [
        'type = "unleash"', f'url = "{lab.unleash.url}"', f'token = "${{file:{secret}}}"',
    ]
    rules = rules if isinstance(rules, dict) else {key: _rule(key) for key in rules}
    path = lab.write_config(f"{name}.toml", rules, source, target)
    settings = ['http_timeout = "3s"', *(['resync_interval = "1s"'] if source else [])]
    text = "\n".join([*settings, path.read_text()])
    spec = spec or f"environments = {json.dumps(ENVIRONMENTS)}"
    path.write_text(text.replace("\nusers_policy", f"\nspec = {{ {spec} }}\nusers_policy"))
    return path


def _rule(key):
    return key.replace("-", "_")


@contextmanager
def serving(lab, config):
    """The daemon with that configuration; it ends in peace."""
    lab.stop()
    command = [lab.binary, "-c", config, "-vv", "serve"]
    serve = Service(f"optoggles-{config.stem}", command, {}, lab.stack.folder)
    serve.start()
    try:
        wait_for("/health to answer 200", lambda: health(lab), (200).__eq__, RECOVERY)
        yield serve
        code, _ = serve.terminate(10)
        expect(code == 0, "exit 0", code)
        expect(lab.unleash.token not in serve.text(), "no token in the log", "one")
    finally:
        serve.kill()


def health(lab):
    """The status of the daemon's health."""
    return web.status(f"{lab.url}/health")


def expect_users_of_rules(lab):
    """OPA and the SDKs must agree with our own computation."""
    wanted = lab.stack.world.users_of_toggles()
    expect(lab.stack.rules() == wanted, f"OPA to return {wanted}", lab.stack.rules())
    everybody = [*lab.stack.world.directory.users, "mallory"]
    lab.unleash.expect_users(wanted, everybody)
