"""OPA restarts while OPAL keeps running: OPA has almost no data, and OPAL reports that all is well.

Each check has its own stack, with 40 users who all have both features. Their directory is slow: for
some seconds, OPA has the policy and hardly any users.
"""

from contextlib import contextmanager

from checks import check
from lab import Lab, Watch
from processes import expect, wait_for
from stack import RULES, Stack

_USERS = {
    f"user{number:02}": {"location": {"country": "US"}, "roles": ["billing"]}
    for number in range(40)
}

_ALL = dict.fromkeys(RULES, len(_USERS))
_UNDEFINED = dict.fromkeys(RULES)

# A move of one user that changes no toggle.
_RENO = {"country": "US", "town": "Reno"}

# Seconds until the users arrive: OPAL gives up after 5 s.
_SLOW_DATA = 4.0

# Seconds until everything must be right again without intervention.
_RECOVERY = 60.0


@check("no user loses a feature when one change reaches a restarted OPA before its data")
def change_before_data(lab):
    with _no_user_loses(lab, "change-before-data") as stack:
        _kill_inline_opa(stack)
        wait_for("OPA to answer again", stack.opa_answers, limit=20, every=0.005)
        _move_one(stack)


@check("no user loses a feature when one change reaches a restarted OPA instead of its data")
def change_instead_of_data(lab):
    with _no_user_loses(lab, "change-instead-of-data", opa_outside=True) as stack:
        _restart_outside_opa(stack)
        _move_one(stack)
        _commit(stack)


@check("no user loses a feature when OPA is restarted under an OPAL without a health policy")
def no_health_policy(lab):
    settings = {"OPAL_OPA_HEALTH_CHECK_POLICY_ENABLED": False}
    with _no_user_loses(lab, "no-health-policy", settings=settings) as stack:
        _kill_inline_opa(stack)


@check("no user loses a feature when a running load continues with a restarted OPA")
def load_goes_on(lab):
    paths = ("/users", "/more/users")
    with _no_user_loses(lab, "load-goes-on", opa_outside=True, paths=paths) as stack:
        stack.world.directory.move("user00", _RENO)
        stack.load_data()
        _expect_moved(stack)
        # The first half went to the previous OPA.
        _restart_outside_opa(stack)
        stack.publish("/weather", {"sky": "blue"})
        _commit(stack)


def _kill_inline_opa(stack):
    stack.opal_client.kill_child("opa")
    wait_for("OPA to be gone", lambda: not stack.opa_answers(), limit=5, every=0.005)


def _restart_outside_opa(stack):
    """Restarts it so fast that OPAL does not notice; otherwise OPAL would load nothing."""
    stack.outside_opa.kill()
    stack.outside_opa.start()
    wait_for("OPA to answer again", stack.opa_answers, limit=20, every=0.005)


def _move_one(stack):
    stack.move("user00", _RENO)
    _expect_moved(stack)


def _expect_moved(stack):
    wait_for("OPA to know of the move", lambda: stack.location("user00"), _RENO.__eq__)


def _commit(stack):
    """Commits a policy with the same result for these users: OPAL sends only what has changed."""
    stack.world.commit_countries(["US", "FR"])
    wait_for("OPA to have the new policy", lambda: "FR" in stack.policy(), limit=20)


@contextmanager
def _no_user_loses(lab, name, **differences):
    """A stack with these differences, whose OPA the caller restarts.

    No user may lose a feature, optoggles must report that it waits while OPA returns too few users,
    and everything must be right in the end.
    """
    with _beside(lab, name, differences) as other:
        stack = other.stack
        stack.world.directory.delay = _SLOW_DATA
        with Watch(lambda: _counts(stack.toggles())) as target:
            with Watch(lambda: (_counts(stack.rules()), other.reports_hold())) as pictures:
                try:
                    yield stack
                    other.wait_until_right(_RECOVERY)
                finally:
                    # A lost feature matters more than a late recovery.
                    target.expect_only(_ALL)
        misled = [told for counts, told in pictures.states if counts not in (_ALL, _UNDEFINED)]
        expect(misled, "OPA to return too few users for a while", pictures.states)
        expect(any(misled), "optoggles to report meanwhile that it waits", pictures.states)


def _counts(users):
    return {key: None if names is None else len(names) for key, names in users.items()}


@contextmanager
def _beside(lab, name, differences):
    """optoggles with a stack that differs from the lab's in this, in sync."""
    folder = lab.stack.folder / name
    folder.mkdir()
    stack = Stack(lab.stack.tools, folder, users=_USERS, **differences)
    other = Lab(lab.binary, stack)
    try:
        stack.start()
        other.serve.start()
        other.wait_until_right()
        yield other
    finally:
        other.stop()
        stack.stop()
