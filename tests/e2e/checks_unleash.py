"""Unleash as the target, judged by its SDK for Node.js and by its engine in Rust."""

import re
from pathlib import Path

from checks import check
from processes import expect
from stack import RULES
from unleash import ENVIRONMENTS, PROJECT
from unleash_lab import (
    changes, expect_users_of_rules, sync, write_config, write_features, write_users,
)

# Users that careless JSON, constraints or comparisons would get wrong, and users like them.
_LONGEST = "x" * 100
_ODD = ["a,b", "inner blank", "ünï-🦀", 'say "hi"', "it's", "ALICE", "back\\slash", _LONGEST]
_ALIKE = [
    "a", "b", "inner", "inner  blank", "innerblank", "u\u0308ni\u0308-🦀", "uni-🦀", "say hi", "its",
    "alice", "Alice", " ALICE", "ALICE ", "backslash", _LONGEST[1:], f"{_LONGEST}x", "",
]

_ONE = ENVIRONMENTS[:1]
_EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@check("Unleash is up, with a PostgreSQL of its own")
def up(lab):
    lab.unleash.start()


@check("check-config --online says whose token it is, and tells Unleash's environments and limits")
def check_config_online(lab):
    run = lab.run("check-config", "--online", config=write_config(lab, "unleash", RULES))
    expect(run.code == 0, "exit 0", run)
    wanted = {
        "token": 'an API token of type admin, called "admin"',
        "project default": "exists",
        **{f"environment default/{environment}": "exists" for environment in ENVIRONMENTS},
        "limits": "7500 users of a toggle in an environment, in 30 strategies of 250",
    }
    said = re.findall(r"target unleash +(.*?) +ok: (.*)", run.out)
    expect(dict(said) == wanted, wanted, run)


@check("sync --dry-run creates nothing in Unleash, and --exit-code exits 3")
def dry_run(lab):
    before = lab.unleash.last_event()
    config = write_config(lab, "unleash", RULES)
    run = lab.run("sync", "--dry-run", "--exit-code", config=config)
    expect(run.code == 3, "exit 3", run)
    created = run.out.count("users   would be created")
    expect(created == len(RULES), "each would be created", run)
    expect(lab.unleash.last_event() == before, "no change", "events")


@check("sync creates features that Unleash's SDKs turn on for exactly the users of the rules")
def first_sync(lab):
    sync(lab, write_config(lab, "unleash", RULES))
    expect_users_of_rules(lab)


@check("a second sync sends nothing that changes Unleash")
def second_sync(lab):
    before = lab.unleash.last_event()
    run = sync(lab, write_config(lab, "unleash", RULES))
    expect(not changes(run.err), "only reads", changes(run.err))
    expect(lab.unleash.last_event() == before, "no change", "events")


@check("examples/opal-unleash.toml finds its feature as it should be")
def example(lab):
    text = (_EXAMPLES / "opal-unleash.toml").read_text()
    token = write_config(lab, "unleash", RULES).with_name("unleash.token")
    for shown, used in {
        "http://opal-client:7000": lab.stack.opal_url,
        "https://unleash.example.com": lab.unleash.url,
        "${UNLEASH_TOKEN}": f"${{file:{token}}}",
    }.items():
        expect(shown in text, shown, text)
        text = text.replace(shown, used)
    config = lab.stack.folder / "opal-unleash.toml"
    config.write_text(text)
    run = sync(lab, config)
    expect("1 toggle: 1 unchanged" in run.out, "1 unchanged", run)


@check("users with unusual keys have their feature in Unleash, and users like them do not")
def odd_users(lab):
    users = {"odd": _ODD, "odd-others": [*lab.stack.world.directory.users]}
    sync(lab, write_features(lab, "unleash-odd", users))
    lab.unleash.expect_users(users, _ALIKE)


@check("2000 users fill 8 strategies, and one more or less changes one of them")
def many_users(lab):
    many = [f"user-{number:04}" for number in range(2000)]
    added, changed, removed = "POST /strategies", "PUT /strategies/ID", "DELETE /strategies/ID"
    for users, strategies, wanted in (
        (many, 8, [*[added] * 8, "POST /on"]),
        (many[:7] + many[8:], 8, [changed]),
        (many, 8, [changed]),
        (many + ["user-1000a"], 9, [added]),
        (many[1:], 8, [changed, removed]),
    ):
        run = sync(lab, write_features(lab, "unleash-many", {"many": users}, _ONE))
        found = [re.sub(r"[0-9a-f]{8}-[0-9a-f-]+", "ID", change)
                 for change in changes(run.err, "many/environments/development")]
        expect(found == wanted, wanted, found)
        held = len(lab.unleash.strategies("many", "development"))
        expect(held == strategies, f"{strategies} strategies", held)
        others = ["user-0000", "user-0007", "user-1000a", "user-2000", "user-000"]
        lab.unleash.expect_users({"many": users}, others, _ONE)


@check("7600 users fail with Unleash's limits and settings in the error, and let no user in")
def too_many_users(lab):
    users = [f"user-{number:04}" for number in range(7600)]
    config = write_features(lab, "unleash-too-many", {"too-many": users}, _ONE)
    run = lab.run("sync", config=config)
    expect(run.code == 1, "exit 1", run)
    for words in (
        "7600 users do not fit", "30 strategies in an environment, with 250 values each",
        "UNLEASH_FEATURE_ENVIRONMENT_STRATEGIES_LIMIT", "UNLEASH_CONSTRAINT_VALUES_LIMIT",
    ):
        expect(words in run.out, words, run)
    lab.unleash.expect_users({"too-many": []}, users[:10], _ONE)


@check("an archived feature, a wrong project, environment or token fails with what to do")
def mistakes(lab):
    lab.unleash.call("POST", f"{PROJECT}/features", {"name": "old", "type": "release"})
    lab.unleash.call("DELETE", f"{PROJECT}/features/old")
    config = write_features(lab, "unleash-archived", {"old": ["alice"]})
    _expect_failure(lab, config, "archived features keep theirs: revive or delete that one")
    source = write_users(lab, "unleash-nowhere", {"nowhere": ["alice"]})
    for spec, words in {
        'project = "none", environments = ["production"]': "the project none does not exist",
        'environments = ["staging"]': "the project default has no environment staging",
    }.items():
        config = write_config(lab, "unleash-nowhere", ["nowhere"], source, spec)
        _expect_failure(lab, config, words)
    token = lab.unleash.tokens["production"]
    config = write_config(lab, "unleash-sdk-token", ["nowhere"], source, token=token)
    for command in ("sync", "check-config --online"):
        _expect_failure(lab, config, "not one for SDKs", command)


def _expect_failure(lab, config, words, command="sync"):
    run = lab.run(*command.split(), config=config)
    expect(run.code == 1, "exit 1", run)
    expect(words in run.out, words, run)
