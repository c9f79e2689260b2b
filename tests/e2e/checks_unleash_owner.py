"""Unleash with an owner: marks, and features whose toggle has left the configuration."""

from checks import check
from processes import expect
from unleash import ENVIRONMENTS, PROJECT
from unleash_lab import serving, write_features

# Seconds until a resync every second has turned a feature off.
_RESYNC = 10.0

_STAFF = ["alice", "bob"]


@check("features whose toggles leave the configuration, while optoggles runs or not, are turned off")
def left(lab):
    users = {key: _STAFF for key in ("left-a-daemon", "left-at-rest", "stays")}
    with serving(lab, _write(lab, users)) as serve:
        lab.unleash.wait_for_users(users, _RESYNC)
        before = lab.unleash.last_event()
        users["left-a-daemon"] = []
        _write(lab, users)
        serve.reload()
        lab.unleash.wait_for_users(users, _RESYNC)
    users["left-at-rest"] = []
    with serving(lab, _write(lab, users)):
        lab.unleash.wait_for_users(users, _RESYNC)
    lab.unleash.expect_users(users, _STAFF)
    wanted = {("feature-environment-disabled", key, environment)
              for key in users if not users[key] for environment in ENVIRONMENTS}
    expect(set(_events(lab, before)) == wanted, wanted, _events(lab, before))


@check("sync leaves a feature alone that has the tag of another owner, and says so")
def of_another_owner(lab):
    lab.unleash.call("POST", f"{PROJECT}/features", {"name": "theirs", "type": "release"})
    tag = {"type": "simple", "value": "optoggles.shop"}
    lab.unleash.call("POST", "/api/admin/features/theirs/tags", tag)
    before = lab.unleash.last_event()
    run = lab.run("sync", config=_write(lab, {"theirs": _STAFF, "ours": _STAFF}))
    expect(run.code == 1, "exit 1", run)
    expect("belongs to the owner shop" in run.out, "the other owner", run)
    lab.unleash.expect_users({"theirs": [], "ours": _STAFF}, ["mallory"])
    changed = {feature for _, feature, _ in _events(lab, before)}
    expect("ours" in changed and "theirs" not in changed, "no change of theirs", changed)


def _write(lab, users):
    """The configuration of an owner; features without users are not in it."""
    kept = {key: of_feature for key, of_feature in users.items() if of_feature}
    path = write_features(lab, "unleash-owner", kept)
    text = path.read_text()
    path.write_text(text.replace('type = "unleash"\n', 'type = "unleash"\nowner = "payments"\n'))
    return path


def _events(lab, since):
    """What has happened to features: the event, the feature and the environment."""
    return [(event["type"], event["featureName"], event["environment"])
            for event in lab.unleash.events_since(since)]
