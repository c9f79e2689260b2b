"""The daemon without faults: changes arrive at once, and nothing leaks."""

import re

import web
from checks import check
from lab import LIVE, SOURCE
from processes import Unmet, expect, wait_for
from world import US_USERS

# Routes that people and monitoring read.
_PAGES = ["/health/live", "/health/started", "/health", "/status"]


@check("serve becomes started and healthy, and registers one callback")
def serve_starts(lab):
    lab.serve.start()
    wait_for("/health/started to answer 200", lambda: lab.health("/health/started"), (200).__eq__)
    lab.wait_until_right(10)
    key, callback = next(iter(lab.stack.callbacks().items()))
    expect(key.startswith(f"optoggles:{SOURCE}:"), f"optoggles:{SOURCE}:…", key)
    expect(callback["url"] == f"{lab.url}/opa_update/{SOURCE}", "our route", callback["url"])


@check(f"a data update reaches the target within {LIVE:g} s")
def data_update(lab):
    lab.change_data()
    lab.wait_for_target(LIVE)


@check(f"a policy commit reaches the target within {LIVE:g} s of reaching OPA")
def policy_commit(lab):
    for countries in (["FR"], ["US"]):
        lab.stack.world.commit_countries(countries)
        lab.stack.wait_for_opa(20)
        lab.wait_for_target(LIVE)


@check("a burst of data updates ends with the last one at the target")
def burst(lab):
    for step in range(30):
        last = {"country": ("FR", "US")[step % 2], "step": step}
        lab.stack.move("bob", last)
    there = f"OPA to have {last}", lambda: lab.stack.location("bob"), last.__eq__
    try:
        wait_for(*there)
    except Unmet:
        # OPAL handles the updates of a burst at the same time, and has applied the last one before another.
        lab.stack.move("bob", last)
        wait_for(*there)
    lab.wait_for_target(LIVE)


@check("an update that changes no toggle sends nothing to the target")
def irrelevant_update(lab):
    lab.wait_until_right()
    before = len(_updates(lab))
    lab.stack.publish("/weather", {"sky": "blue"})
    lab.change_data()
    lab.wait_for_target(LIVE)
    # The target writes its log shortly after it responds.
    wanted = [f"PATCH /toggles/{US_USERS} 200"]
    wait_for(wanted, lambda: _updates(lab)[before:], wanted.__eq__, 2)


@check("no page of optoggles shows a user or a secret")
def pages(lab):
    for page in _PAGES:
        status, body = web.call("GET", f"{lab.url}{page}")
        expect(status == 200, f"{page} to answer 200", status)
        _expect_discreet(lab, page, str(body))


def _updates(lab):
    """The updates in the log of the target."""
    return re.findall(r"^(?:PATCH|POST) \S+ \d+", lab.stack.target.text(), re.MULTILINE)


def _expect_discreet(lab, page, body):
    for user in lab.stack.world.directory.users:
        expect(not re.search(rf"\b{user}\b", body), f"{page} not to name {user}", body)
    expect(not any(secret in body for secret in lab.secrets), f"no secret on {page}", "one")
