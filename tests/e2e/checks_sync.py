"""The commands that run to their end: check-config and sync."""

import re

import web
from checks import check
from processes import expect
from stack import RULES
from world import BILLING_USERS, US_USERS

_LINE = re.compile(r"(?P<key>\S+)\s+(?P<change>.*\S)\s+(?P<count>\d+) users?\s+(?P<outcome>\S.*)")
_SUMMARY = re.compile(r"(?P<count>\d+) toggles?: (?P<outcomes>.+) \(\d+\.\d+s\)")


@check("check-config finds no problem in the file")
def check_config(lab):
    run = lab.run("check-config")
    expect(run.code == 0, "exit 0", run)


@check("check-config --online queries OPAL, OPA, each rule and the target, and changes nothing")
def check_config_online(lab):
    run = lab.run("check-config", "--online")
    expect(run.code == 0, "exit 0", run)
    lines = run.out.splitlines()[1:]
    expect(all(" ok: " in line for line in lines), "every answer ok", run)
    for key, users in lab.stack.world.users_of_toggles().items():
        line = next(line for line in lines if line.startswith(f"toggle {key} "))
        expect(line.endswith(f" {len(users)} users"), f"{key}: {len(users)} users", run)
    expect(any("not registered" in line for line in lines), "no callback registered", run)
    expect(lab.stack.toggles() == {}, "an empty target", lab.stack.toggles())


@check("sync --dry-run prints what would change, and changes nothing")
def dry_run(lab):
    run = lab.run("sync", "--dry-run")
    expect(run.code == 0, "exit 0", run)
    for key in RULES:
        outcome = _lines(run)[key]["outcome"]
        expect(outcome.startswith("would be"), f"{key}: would be …", run)
    expect(lab.stack.toggles() == {}, "an empty target", lab.stack.toggles())


@check("sync --dry-run --exit-code exits 3 while the target differs")
def dry_run_finds_differences(lab):
    run = lab.run("sync", "--dry-run", "--exit-code")
    expect(run.code == 3, "exit 3", run)
    expect(lab.stack.toggles() == {}, "an empty target", lab.stack.toggles())


@check("sync creates the toggles with exactly the users of the rules")
def sync_once(lab):
    run = lab.run("sync")
    expect(run.code == 0, "exit 0", run)
    for key, users in lab.stack.world.users_of_toggles().items():
        line = _lines(run)[key]
        expect(int(line["count"]) == len(users), f"{key}: {len(users)} users", run)
        expect(line["change"].startswith(f"+{len(users)}"), f"{key}: +{len(users)}", run)
    _expect_summary(run)
    _expect_target_right(lab)


@check("a second sync finds every toggle unchanged")
def sync_again(lab):
    run = lab.run("sync")
    _expect_all_unchanged(run)
    _expect_target_right(lab)


@check("sync --dry-run --exit-code exits 0 once nothing differs")
def dry_run_finds_nothing(lab):
    run = lab.run("sync", "--dry-run", "--exit-code")
    expect(run.code == 0, "exit 0", run)


@check("sync reverts manual changes at the target")
def changes_by_hand(lab):
    toggles = f"{lab.stack.target_url}/toggles"
    expected = lab.stack.world.users_of_toggles()[US_USERS]
    by_hand = [*expected[1:], "mallory"]
    web.call("PATCH", f"{toggles}/{US_USERS}", {"users": by_hand})
    web.call("DELETE", f"{toggles}/{BILLING_USERS}")
    expect(lab.stack.toggles() == {US_USERS: by_hand}, "the changes", lab.stack.toggles())
    run = lab.run("sync")
    expect(run.code == 0, "exit 0", run)
    expect(_lines(run)[US_USERS]["change"] == "+1 -1", f"{US_USERS}: +1 -1", run)
    _expect_target_right(lab)


@check("sync --toggle leaves the other toggles alone")
def only_one_toggle(lab):
    toggles = f"{lab.stack.target_url}/toggles"
    for key in RULES:
        web.call("PATCH", f"{toggles}/{key}", {"users": ["mallory"]})
    run = lab.run("sync", "--toggle", US_USERS)
    expect(run.code == 0, "exit 0", run)
    expect(set(_lines(run)) == {US_USERS}, f"only {US_USERS}", run)
    wanted = {**lab.stack.world.users_of_toggles(), BILLING_USERS: ["mallory"]}
    expect(lab.stack.toggles() == wanted, wanted, lab.stack.toggles())
    expect(lab.run("sync").code == 0, "exit 0", "another")
    _expect_target_right(lab)


@check("an undefined rule fails its toggle, removes no user, and exits 1")
def undefined_rule(lab):
    config = lab.write_config("undefined.toml", {**RULES, US_USERS: "unwritten_rule"})
    before = lab.stack.toggles()
    run = lab.run("sync", config=config)
    expect(run.code == 1, "exit 1", run)
    failed = [line for line in run.out.splitlines() if line.startswith(f"{US_USERS} ")]
    wanted = "failed: rule data.app.rbac.unwritten_rule is undefined"
    expect(len(failed) == 1 and wanted in failed[0], wanted, run)
    expect(lab.stack.toggles() == before, before, lab.stack.toggles())


def _lines(run):
    """The parsed line of each toggle in the output of sync."""
    found = (_LINE.fullmatch(line) for line in run.out.splitlines())
    lines = {line["key"]: line for line in found if line}
    expect(lines, "a line for each toggle", run)
    return lines


def _expect_summary(run):
    last = run.out.splitlines()[-1]
    summary = _SUMMARY.fullmatch(last)
    expect(summary and int(summary["count"]) == len(RULES), f"{len(RULES)} toggles: …", run)


def _expect_all_unchanged(run):
    expect(run.code == 0, "exit 0", run)
    for key in RULES:
        line = _lines(run)[key]
        seen = (line["change"], line["outcome"])
        expect(seen == ("=", "unchanged"), f"{key}: = … unchanged", run)
    _expect_summary(run)


def _expect_target_right(lab):
    """OPA, the target and our own computation must agree."""
    wanted = lab.stack.world.users_of_toggles()
    expect(lab.stack.rules() == wanted, f"OPA to return {wanted}", lab.stack.rules())
    expect(lab.stack.toggles() == wanted, f"the target to have {wanted}", lab.stack.toggles())
