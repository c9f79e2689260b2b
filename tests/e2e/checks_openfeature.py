"""OpenFeature's SDKs, for which optoggles itself is the platform."""

import json
import re
import secrets
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import web
from checks import check
from lab import LIVE, RECOVERY
from processes import Service, clean_environment, expect, wait_for
from sdks import Sdks, default, right
from stack import RULES
from world import ODD_USERS

_ROOT = Path(__file__).resolve().parents[2]
_SHOWN = "127.0.0.1:8080"
_TOKEN = secrets.token_hex(16)

# The file is read every second.
_FILE = 5.0


@check(f"changes reach OpenFeature's SDKs within {LIVE:g} s, and unchanged answers are 304s")
def changes(lab):
    users = ["alice", "eve", "mallory", ""]
    world = lab.stack.world
    countries = world.countries
    with _serving(lab, _write_config(lab, "openfeature.toml")), _sdks(lab) as sdks:
        wait_for("the users to be known", lambda: web.status(f"{lab.url}/health"), (200).__eq__)
        _wait_for_answers(sdks, world.users_of_toggles(), users, 0)
        for change, limit in [
            # Before the first removal, OPAL has to load everything, and it can lose its reports.
            (lambda: world.commit_countries(["Nowhere"]), RECOVERY),
            (lambda: world.commit_countries(countries), LIVE),
            (lambda: lab.stack.move("eve"), LIVE),
            (lambda: lab.stack.move("eve"), LIVE),
        ]:
            _expect_unchanged(sdks, users)
            change()
            lab.stack.wait_for_opa(20)
            _wait_for_answers(sdks, world.users_of_toggles(), users, limit)
        statuses = _expect_unchanged(sdks, users)
    wanted = {
        "definition": [200, 304] * 5,
        "alice": [200, 304] * 3,
        "eve": [200, 304] * 3,
        "mallory": [200, 304],
        # Without a key, there is nothing to poll.
        "": [400],
    }
    expect(statuses == wanted, wanted, statuses)


def _expect_unchanged(sdks, users):
    """Waits until all have polled once more; returns the statuses."""
    def statuses():
        return sdks.ask([], users)["statuses"]

    def polled(found):
        return all(one[-1] != 200 for one in found.values())

    return wait_for("304 for each", statuses, polled, LIVE)[0]


@check("the defaults of OpenFeature's SDKs decide until the users are known, and without the token")
def defaults(lab):
    everybody = [*ODD_USERS, "alice", ""]
    path = lab.stack.folder / "openfeature.json"
    config = _write_config(lab, "openfeature-late.toml", f'type = "file"\npath = "{path}"')
    with _serving(lab, config), _sdks(lab) as sdks, _sdks(lab, "wrong") as strangers:
        _expect_no_answers(sdks.ask(RULES, ["alice"]), 503, "GENERAL")
        rules = {"us_users": ODD_USERS[1::2], "billing_users": []}
        path.write_text(json.dumps({"result": {"app": {"rbac": rules}}}))
        wanted = dict(zip(RULES, rules.values()))
        _wait_for_answers(sdks, wanted, everybody, _FILE)
        _expect_no_answers(strangers.ask(RULES, ["alice"]), 401, "PROVIDER_FATAL")


def _expect_no_answers(found, status, in_web):
    error = {"python": "GENERAL", "server": "GENERAL", "web": in_web, "flagd": "FLAG_NOT_FOUND"}
    wanted = {sdk: {key: {"alice": default(code)} for key in RULES} for sdk, code in error.items()}
    statuses = found.pop("statuses")
    expect(found == wanted, wanted, found)
    expect(statuses["definition"] == [status], status, statuses)


@check("the snippets for OpenFeature in README.md and docs/targets.md turn the quickstart's feature on for alice")
def snippets(lab):
    folder = lab.stack.folder / "quickstart"
    shutil.copytree(_ROOT / "examples" / "quickstart", folder)
    (folder / "node_modules").symlink_to(lab.stack.tools.openfeature_js)
    config = folder / "openfeature.toml"
    config.write_text(_moved(lab, config.read_text()))
    with _serving(lab, config):
        for page, kind, command, wanted in [
            ("README.md", "python", [lab.stack.tools.ofrep_python, "-"], "True\n"),
            ("docs/targets.md", "js", ["node", "--input-type=module", "-"], "true\n"),
        ]:
            text = (_ROOT / page).read_text()
            shown = re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
            expect(len(shown) == 1, f"one snippet of {kind}", shown)
            done = subprocess.run(
                command, input=_moved(lab, shown[0]), env=clean_environment(), cwd=folder,
                capture_output=True, text=True, timeout=30, check=False,
            )
            expect(done.stdout == wanted, wanted, f"{done.stdout}{done.stderr}")


def _moved(lab, text):
    """The text with our address instead of the one that it shows, at one place."""
    expect(text.count(_SHOWN) == 1, f"{_SHOWN} once", text)
    return text.replace(_SHOWN, lab.url.removeprefix("http://"))


def _write_config(lab, name, source=None):
    target = ['type = "openfeature"', 'token = "${EVALUATION_TOKEN}"']
    return lab.write_config(name, RULES, source, target)


@contextmanager
def _serving(lab, config):
    """The daemon with that configuration; it ends in peace."""
    lab.stop()
    command = [lab.binary, "-c", config, "-vv", "serve"]
    environment = {"EVALUATION_TOKEN": _TOKEN}
    serve = Service(f"optoggles-{config.stem}", command, environment, lab.stack.folder)
    serve.start()
    try:
        live = f"{lab.url}/health/live"
        wait_for("/health/live to answer 200", lambda: web.status(live), (200).__eq__)
        yield
        code, _ = serve.terminate(10)
        expect(code == 0, "exit 0", code)
        expect(_TOKEN not in serve.text(), "no token in the log", "one")
    finally:
        serve.kill()


def _sdks(lab, token=_TOKEN):
    return Sdks(lab.stack.tools, lab.url, token)


def _wait_for_answers(sdks, wanted, users, limit):
    """Waits until all SDKs give these toggles to exactly these users."""
    answers = right(wanted, users)

    def wrong():
        found = sdks.ask(answers["python"], users)
        return [
            f"{sdk}: {key} for {user!r}: {found[sdk][key][user]}"
            for sdk, of_keys in answers.items()
            for key, of_users in of_keys.items()
            for user, answer in of_users.items() if found[sdk][key][user] != answer
        ]

    wait_for(f"the SDKs to give {wanted}", wrong, [].__eq__, limit)
