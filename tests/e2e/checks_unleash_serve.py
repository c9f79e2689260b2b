"""Unleash as the target of the daemon."""

from contextlib import contextmanager

from checks import check
from lab import LIVE, RECOVERY, Watch
from processes import expect, wait_for
from stack import RULES
from unleash import ENVIRONMENTS, PROJECT
from unleash_lab import (
    REQUEST, changes, expect_users_of_rules, health, serving, sync, write_config, write_features,
)
from world import US_USERS

# Where things are changed by hand.
_PLACE = ENVIRONMENTS[0]

# Seconds until a resync every second has put right what was changed by hand.
_RESYNC = 10.0


@check("20 toggles: each resync sends one request for each environment, answered by 304")
def quiet_resyncs(lab):
    users = {f"steady-{number:02}": ["alice", f"user-{number}"] for number in range(20)}
    config = write_features(lab, "unleash-steady", users)
    sync(lab, config)
    lab.unleash.expect_users(users, ["bob"])
    with serving(lab, config) as serve:
        wait_for("3 resyncs", lambda: serve.text().count("cause=resync"), (3).__le__, _RESYNC)
        first, *others = map(REQUEST.findall, serve.text().split("cause=resync")[:3])
    lists = [f"/api/client/features?environment={environment}&project=default"
             for environment in ENVIRONMENTS]
    overview = ("GET", f"{PROJECT}/overview", "200")
    read = [overview, *[("GET", path, "200") for path in lists]]
    expect(first[:3] == read, read, first)
    # The first resync may get lists: Unleash numbers its changes a second late.
    unchanged = [overview, *[("GET", path, "304") for path in lists]]
    expect(others == [unchanged] * 2, unchanged, others)


@check("resyncs put right what is changed by hand in Unleash")
def changes_by_hand(lab):
    staff = [f"user-{number:03}" for number in range(300)]
    users = {f"hand-{what.__name__.strip('_')}": staff for what in _BY_HAND}
    config = write_features(lab, "unleash-hand", users)
    with serving(lab, config) as serve:
        lab.unleash.wait_for_users(users, _RESYNC)
        before = len(serve.text())
        for feature, what in zip(users, _BY_HAND):
            what(lab.unleash, f"{PROJECT}/features/{feature}/environments/{_PLACE}", feature)

        def corrected():
            log = serve.text()[before:]
            return [feature for feature in users if changes(log, f"{feature}/")]

        wait_for("each of them to be put right", corrected, list(users).__eq__, _RESYNC)
        lab.unleash.expect_users(users, ["mallory"])
    for feature in users:
        strategies = lab.unleash.strategies(feature, _PLACE)
        expect(len(strategies) == 2, f"2 strategies of {feature}", strategies)


def _for_everybody(unleash, path, _feature):
    everybody = {"name": "flexibleRollout", "parameters": {"rollout": "100", "groupId": "all"}}
    unleash.call("POST", f"{path}/strategies", everybody)


def _rollout(unleash, path, feature):
    first, _ = unleash.strategies(feature, _PLACE)
    parameters = {**first["parameters"], "rollout": "50"}
    unleash.call("PUT", f"{path}/strategies/{first['id']}", {**first, "parameters": parameters})


def _without_constraints(unleash, path, feature):
    first, _ = unleash.strategies(feature, _PLACE)
    body = {key: first[key] for key in ("name", "parameters")}
    answer = unleash.call("PUT", f"{path}/strategies/{first['id']}", body)
    expect(answer["constraints"] == [], "no constraints", answer)


def _off(unleash, path, _feature):
    unleash.call("POST", f"{path}/off")


def _deleted(unleash, path, feature):
    first, _ = unleash.strategies(feature, _PLACE)
    unleash.call("DELETE", f"{path}/strategies/{first['id']}")


_BY_HAND = (_for_everybody, _rollout, _without_constraints, _off, _deleted)


@check(f"a data update reaches Unleash within {LIVE:g} s, and lets no one else in meanwhile")
def data_update(lab):
    with _following(lab):
        lab.stack.move("eve")
        lab.stack.wait_for_opa(5)
        _wait_for_rules(lab, LIVE)
    expect_users_of_rules(lab)


@check("the last user leaves a rule, and comes back: so it is with Unleash's SDKs")
def last_user(lab):
    countries = lab.stack.world.countries
    for there in (["Nowhere"], countries):
        with _following(lab):
            lab.stack.world.commit_countries(there)
            lab.stack.wait_for_opa(20)
            # Before the first removal after a start, OPAL loads everything, and its reports can be lost.
            _wait_for_rules(lab, RECOVERY)
        expect_users_of_rules(lab)
        left = _us_users(lab)
        expect(bool(left) == (there == countries), f"users in {there}", left)


@check("a policy commit while PostgreSQL and Unleash are down reaches Unleash when they are back")
def outage(lab):
    countries = lab.stack.world.countries
    with _following(lab) as serve:
        lab.unleash.database.kill()
        lab.stack.world.commit_countries(["IL", "FR"])
        lab.stack.wait_for_opa(20)
        wait_for("/health to answer 500", lambda: health(lab), (500).__eq__, RECOVERY)
        lab.unleash.server.kill()
        lab.unleash.start()
        _wait_for_rules(lab, RECOVERY)
        wait_for("/health to answer 200", lambda: health(lab), (200).__eq__, RECOVERY)
        serve.expect_running()
    expect_users_of_rules(lab)
    lab.stack.world.commit_countries(countries)
    lab.stack.wait_for_opa(20)


@contextmanager
def _following(lab):
    """The daemon with OPAL and Unleash, in sync at first.

    The feature whose users change is polled: it may only have the users before and after.
    """
    with serving(lab, write_config(lab, "unleash-serve", RULES)) as serve:
        _wait_for_rules(lab, RECOVERY)
        before = _us_users(lab)
        with Watch(lambda: lab.unleash.kept(US_USERS)[_PLACE]) as watch:
            yield serve
        watch.expect_only(before, _us_users(lab))


def _us_users(lab):
    return lab.stack.world.users_of_toggles()[US_USERS]


def _wait_for_rules(lab, limit):
    lab.unleash.wait_for_users(lab.stack.world.users_of_toggles(), limit)
