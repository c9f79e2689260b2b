"""OPAL in secure mode: which tokens it accepts, and how its own callback affects ours.

OPAL also reports each update to opal-server, without a token: 401. It tries five times, in one of
the six workers for all callbacks, so the reports to us are late, and OPAL counts them as failed
after 10 s.
"""

import json
import socket
import time

from checks import check
from lab import LIVE
from processes import expect, wait_for
from secure import LISTENER, secure_lab
from stack import RULES
from world import US_USERS

# How long a change may take to reach the target if OPAL calls back late or not at all.
ARRIVAL = 10.0


@check("OPAL in secure mode: serve works with a listener token, and shows no token")
def listener_token(lab):
    with secure_lab(lab, "secure") as secure:
        run = secure.run("check-config", "--online")
        expect(run.code == 0, "exit 0", run)
        secure.serve.start()
        secure.wait_until_right()
        secure.change_data()
        secure.wait_for_target(LIVE)
        code, _ = secure.serve.terminate(10)
        expect(code == 0, "exit 0", code)
        expect(not secure.stack.callbacks(), "no callback of ours", list(secure.stack.callbacks()))
        _expect_others_refused(secure)
        _expect_no_secret(secure)


@check("an expired token makes /health 500 and holds no change back; a reload reads a new one")
def expired_token(lab):
    with secure_lab(lab, "secure-expired") as secure:
        lasting = secure.stack.listener_token
        # It has expired when the registration is next checked.
        secure.keep_token(LISTENER, secure.stack.obtain_token(LISTENER, "--ttl", "15", "seconds"))
        secure.serve.start()
        secure.wait_until_right()
        secure.wait_for_health(500)
        secure.change_data()
        secure.wait_for_target(LIVE)
        secure.keep_token(LISTENER, lasting)
        secure.serve.reload()
        secure.wait_until_right(10)
        _expect_no_secret(secure)


@check(f"every change is at the target within {ARRIVAL:g} s while OPAL's own callback gets 401s")
def refused_callback(lab):
    with secure_lab(lab, "secure-401") as secure:
        _expect_every_change(secure)
        refused = secure.stack.opal_server.text().count('/data/callback_report HTTP/1.1" 401')
        expect(refused > 6, "more refusals than OPAL has senders", refused)


@check(f"every change is at the target within {ARRIVAL:g} s while another callback of OPAL hangs")
def hanging_callback(lab):
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as silent:
        callback = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        settings = {"OPAL_DEFAULT_UPDATE_CALLBACKS": json.dumps({"callbacks": [callback]})}
        with secure_lab(lab, "secure-hanging", **settings) as secure:
            _expect_every_change(secure)


def _expect_others_refused(secure):
    """Checks that every other token is a 401 that says what to do."""
    stack = secure.stack
    expired = stack.obtain_token(LISTENER, "--ttl", "1", "milliseconds")
    tokens = {
        "client": (stack.client_token, "peer_type"),
        "datasource": (stack.publisher_token, "peer_type"),
        "master": (stack.master_token, "Could not decode access token"),
        "expired": (expired, "Access token is expired"),
    }
    for name, (token, opal_says) in tokens.items():
        secure.keep_token(name, token)
        config = secure.write_config(f"{name}.toml", RULES, secure.source_with(name))
        run = secure.run("check-config", "--online", config=config)
        expect(run.code == 1, f"exit 1 with the token {name!r}", run)
        for words in ("401", opal_says, "the token is missing or wrong"):
            expect(words in run.out, f"{words!r} with the token {name!r}", run)


def _expect_no_secret(secure):
    for log in secure.stack.folder.glob("optoggles-*.log"):
        text = log.read_text(errors="replace")
        # Parts are secret too: quotes from a remote are truncated.
        parts = {secret[-24:] for secret in secure.secrets} | {
            secret[:80] for secret in secure.secrets
        }
        shown = [line for line in text.splitlines() if any(part in line for part in parts)]
        expect(not shown, f"no secret in {log.name}", shown)


def _expect_every_change(secure):
    """Each change adds a user, so that the next one does not hide it, and is timed separately."""
    secure.serve.start()
    secure.wait_until_right()
    published, arrived = {}, {}

    def look():
        here = set(secure.stack.toggles()[US_USERS])
        for user in published.keys() & here - arrived.keys():
            arrived[user] = time.monotonic() - published[user]
        return len(arrived)

    for number in range(16):
        user = f"user-{number:02}"
        secure.stack.add_user(user)
        published[user] = time.monotonic()
        end = published[user] + 0.5
        while time.monotonic() < end:
            look()
            time.sleep(0.05)
    wait_for("every user at the target", look, len(published).__eq__, 60)
    late = {user: round(took, 1) for user, took in arrived.items() if took > ARRIVAL}
    expect(not late, f"each user within {ARRIVAL:g} s", late)
