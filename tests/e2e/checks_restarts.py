"""OPA is restarted under an OPAL that goes on: it has next to nothing, and OPAL says that all is well.

Each of these has a stack of its own, with 40 users who all have both features. Their directory is
slow: for seconds OPA has the policy and hardly any of them.
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

# Where one of them moves, which leaves every toggle as it is.
_RENO = {"country": "US", "town": "Reno"}

# So long the users take to come: OPAL gives up after 5 s.
_SLOW_DATA = 4.0

# So long it may take until all is right again, and nobody helps.
_RECOVERY = 60.0


@check("nobody loses anything when one change reaches a restarted OPA before its data")
def change_before_data(lab):
    with _nobody_loses(lab, "change-before-data") as stack:
        _kill_inline_opa(stack)
        wait_for("OPA to answer again", stack.opa_answers, limit=20, every=0.005)
        _move_one(stack)


@check("nobody loses anything when one change reaches a restarted OPA instead of its data")
def change_instead_of_data(lab):
    with _nobody_loses(lab, "change-instead-of-data", opa_outside=True) as stack:
        _restart_outside_opa(stack)
        _move_one(stack)
        _commit(stack)


@check("nobody loses anything when OPA is restarted under an OPAL without a health policy")
def no_health_policy(lab):
    settings = {"OPAL_OPA_HEALTH_CHECK_POLICY_ENABLED": False}
    with _nobody_loses(lab, "no-health-policy", settings=settings) as stack:
        _kill_inline_opa(stack)


@check("nobody loses anything when a load that had begun goes on with a restarted OPA")
def load_goes_on(lab):
    paths = ("/users", "/more/users")
    with _nobody_loses(lab, "load-goes-on", opa_outside=True, paths=paths) as stack:
        stack.world.directory.move("user00", _RENO)
        stack.load_data()
        _expect_moved(stack)
        # The first half was for the OPA that was.
        _restart_outside_opa(stack)
        stack.publish("/weather", {"sky": "blue"})
        _commit(stack)


def _kill_inline_opa(stack):
    stack.opal_client.kill_child("opa")
    wait_for("OPA to be gone", lambda: not stack.opa_answers(), limit=5, every=0.005)


def _restart_outside_opa(stack):
    """So fast that OPAL never sees it gone. It would load nothing if it did."""
    stack.outside_opa.kill()
    stack.outside_opa.start()
    wait_for("OPA to answer again", stack.opa_answers, limit=20, every=0.005)


def _move_one(stack):
    stack.move("user00", _RENO)
    _expect_moved(stack)


def _expect_moved(stack):
    wait_for("OPA to know of the move", lambda: stack.location("user00"), _RENO.__eq__)


def _commit(stack):
    """A policy that says the same of everybody here: the only part of it that OPAL sends."""
    stack.world.commit_countries(["US", "FR"])
    wait_for("OPA to have the new policy", lambda: "FR" in stack.policy(), limit=20)


@contextmanager
def _nobody_loses(lab, name, **differences):
    """A stack that differs in this, whose OPA is about to be restarted by whoever asks for it.

    Nobody may lose a feature then, optoggles must tell that it waits while OPA misleads it, and
    all must end well.
    """
    with _beside(lab, name, differences) as other:
        stack = other.stack
        stack.world.directory.delay = _SLOW_DATA
        with Watch(lambda: _counts(stack.toggles())) as target:
            with Watch(lambda: (_counts(stack.rules()), other.tells_of_hold())) as pictures:
                try:
                    yield stack
                    other.wait_until_right(_RECOVERY)
                finally:
                    # Whether it was in time matters less.
                    target.expect_only(_ALL)
        misled = [told for counts, told in pictures.states if counts not in (_ALL, _UNDEFINED)]
        expect(misled, "OPA to name too few users for a while", pictures.states)
        expect(any(misled), "optoggles to tell meanwhile that it waits", pictures.states)


def _counts(users):
    return {key: None if names is None else len(names) for key, names in users.items()}


@contextmanager
def _beside(lab, name, differences):
    """optoggles beside a stack that differs in this from the lab's, with all as it should be."""
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
