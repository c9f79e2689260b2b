"""Everything is killed at random moments, while users and policy change."""

import threading
import time
from collections import Counter

from checks import check
from history import HistoryLab, HistoryStack, Judge, chance_from, shuffled
from processes import Unmet, expect

# Seconds until everything must be right after the chaos has ended.
CALM = 60.0

# Intervals, in seconds.
_CHANGE = 1.0
_COMMIT = (6.0, 14.0)
_KILL = (3.0, 12.0)
_DOWN = (0.0, 4.0)
# Some kills follow the last one so soon that other services notice only the return.
_SOON = (0.0, 3.0)
_SHARE_SOON = 0.3
# Response times of the directory, one of which is chosen after each kill.
_DELAYS = [0.0, 1.0, 2.0, 4.0]


@check("whatever is killed, the target only has users that policy allowed, and never goes back")
def chaos(lab):
    lab.stop()
    folder = lab.stack.folder / "chaos"
    folder.mkdir()
    stack = HistoryStack(lab.stack.tools, folder)
    try:
        chaotic = HistoryLab(lab.binary, stack)
        try:
            _run(chaotic, lab.chaos_seconds, lab.chaos_seed)
        finally:
            chaotic.stop()
    finally:
        stack.stop()


def _run(lab, seconds, seed):
    chance, seed = chance_from(seed)
    lab.bring_everything_up()
    storm = _Storm(lab, chance)
    with _Looks(lab.stack) as looks:
        try:
            storm.rage(seconds)
            _calm_down(lab)
        finally:
            print(f"     seed {seed}: {seconds} s, {storm}; looked {looks.count} times at the "
                  f"target, {len(looks.states)} states", flush=True)
    judge = Judge(lab.stack.world)
    faults = []
    for moment, state in looks.states:
        fault = judge.fault(moment, state)
        if fault:
            faults.append(f"{moment - storm.start:.1f} s ({storm.before(moment)}): {fault}")
    expect(not faults, f"only states that policy had (seed {seed})", "\n".join(faults[:20]))


def _calm_down(lab):
    """Waits until everything is right."""
    end = time.monotonic() + CALM
    lab.stack.world.directory.delay = 0.0
    lab.stack.opal_client.start()
    lab.serve.start()
    lab.stack.wait_for_opa(CALM)
    lab.wait_until_right(end - time.monotonic())


class _Storm:
    """Random kills and changes."""

    def __init__(self, lab, chance):
        self._lab = lab
        self._chance = chance
        self._queue = []
        self._victims = []
        self._down = {}
        self.start = time.monotonic()
        self._kills = []
        self._changes = 0
        self._commits = 0

    def __str__(self):
        counts = Counter(name for _, name in self._kills)
        kills = ", ".join(f"{name} {count} times" for name, count in sorted(counts.items()))
        return (f"{len(self._kills)} kills ({kills}), {self._changes} changes of users, "
                f"{self._commits} of policy")

    def before(self, moment):
        """The last kills before that moment."""
        earlier = [(when, name) for when, name in self._kills if when <= moment]
        if not earlier:
            return "nothing killed yet"
        return ", ".join(f"{name} killed {moment - when:.1f} s ago" for when, name in earlier[-3:])

    def rage(self, seconds):
        """Kills and changes for this many seconds."""
        now = time.monotonic()
        end = now + seconds
        change, commit, kill = now, now + self._between(_COMMIT), now + self._between(_KILL)
        while now < end:
            if now >= change:
                change += _CHANGE
                self._change_user()
            if now >= commit:
                commit = now + self._between(_COMMIT)
                self._lab.stack.world.change_policy()
                self._commits += 1
            if now >= kill:
                soon = self._chance.random() < _SHARE_SOON
                kill = now + self._between(_SOON if soon else _KILL)
                self._kill_one(now)
            self._start_what_is_due(now)
            time.sleep(0.02)
            now = time.monotonic()

    def _change_user(self):
        # One after the other: OPAL may swap two simultaneous changes of one user.
        world = self._lab.stack.world
        self._queue = self._queue or shuffled(world.versions, self._chance)
        name = self._queue.pop()
        self._lab.stack.publish(f"/users/{name}", world.change_user(name, self._chance))
        self._changes += 1

    def _kill_one(self, now):
        stack = self._lab.stack
        stack.world.directory.delay = self._chance.choice(_DELAYS)
        services = {"OPAL": stack.opal_client, "OPA": None, "optoggles": self._lab.serve}
        # Each gets its turn, even if the chaos is short.
        self._victims = self._victims or shuffled(services, self._chance)
        name = self._victims.pop()
        service = services[name]
        if service is None:
            try:
                stack.opal_client.kill_child("opa")
            except Unmet:
                return  # not running at the moment
        elif service.running():
            service.kill()
            self._down[service] = now + self._between(_DOWN)
        else:
            return
        self._kills.append((now, name))

    def _start_what_is_due(self, now):
        for service, when in list(self._down.items()):
            if now >= when:
                service.start()
                del self._down[service]

    def _between(self, bounds):
        return self._chance.uniform(*bounds)


class _Looks:
    """Polls the target, and keeps each new state and its time."""

    def __init__(self, stack):
        self._stack = stack
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.count = 0
        self.states = []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _look(self):
        while not self._done.wait(0.02):
            try:
                state = self._stack.toggles()
            except OSError:
                continue
            self.count += 1
            if not self.states or self.states[-1][1] != state:
                self.states.append((time.monotonic(), state))
