"""Flags in a file, read by OpenFeature's flagd provider; and the quickstart."""

import json
import shutil
import subprocess
from pathlib import Path

from checks import check
from processes import clean_environment, expect
from stack import PACKAGE, RULES
from world import ODD_USERS

_ROOT = Path(__file__).resolve().parents[2]
_QUICKSTART = _ROOT / "examples" / "quickstart"
_JUDGE = Path(__file__).with_name("judge_flags.py")


@check("OpenFeature's flagd provider turns each flag on for exactly the users of its rule")
def flagd_provider(lab):
    flags = lab.stack.folder / "flags.json"
    config = lab.write_config("flagd.toml", RULES, target=[
        'type = "flagd"',
        f'path = "{flags}"',
    ])
    run = lab.run("sync", config=config)
    expect(run.code == 0, "exit 0", run)
    wanted = lab.stack.world.users_of_toggles()
    everybody = [*lab.stack.world.directory.users, *ODD_USERS]
    expect(_judge(lab, flags, RULES, everybody) == wanted, wanted, flags.read_text())
    before = flags.read_bytes()
    run = lab.run("sync", "--dry-run", "--exit-code", config=config)
    expect(run.code == 0, "nothing to change", run)
    expect(flags.read_bytes() == before, "the same file", flags.read_text())


@check("users with unusual keys get their flags, and no other users do")
def odd_users(lab):
    folder = lab.stack.folder / "odd"
    folder.mkdir()
    users = {"us_users": ODD_USERS[::2], "billing_users": []}
    document = {"result": {"app": {"rbac": users}}}
    (folder / "users.json").write_text(json.dumps(document))
    shutil.copy(_QUICKSTART / "optoggles.toml", folder)
    run = lab.run("sync", config=folder / "optoggles.toml")
    expect(run.code == 0, "exit 0", run)
    wanted = {"us-feature": ODD_USERS[::2], "billing-page": []}
    found = _judge(lab, folder / "flags.json", wanted, [*ODD_USERS, "alice"])
    expect(found == wanted, wanted, found)


@check("opa eval produces the quickstart's users.json from its policy")
def quickstart_users(lab):
    opa = str(lab.stack.tools.opa)
    command = [opa, "eval", "--data", "policy", "--format", "json", f"data.{PACKAGE}"]
    made = subprocess.run(
        command, env=clean_environment(), cwd=_QUICKSTART, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=30, check=False,
    )
    there = (_QUICKSTART / "users.json").read_text()
    expect(made.stdout == there, there, f"{made.stdout}{made.stderr}")


def _judge(lab, flags, keys, users):
    question = json.dumps({"keys": list(keys), "users": users})
    command = [str(lab.stack.tools.flagd_python), str(_JUDGE), str(flags), question]
    done = subprocess.run(
        command, env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=False,
    )
    expect(done.returncode == 0, "the provider's answers", f"{done.stdout}{done.stderr}")
    return json.loads(done.stdout)
