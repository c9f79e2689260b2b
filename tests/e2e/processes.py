"""Child processes, ports and waiting, independent of the programs."""

import itertools
import os
import random
import re
import signal
import socket
import subprocess
import time


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

# The ports below the ephemeral range, each given out once: a service that is down keeps its port.
_PORTS = iter(random.sample(range(20000, 30000), 10000))


class Unmet(Exception):
    """An unmet expectation."""

    def __init__(self, expected, seen):
        super().__init__(f"expected {expected}; saw {seen}")
        self.expected = expected
        self.seen = seen


def expect(holds, expected, seen):
    """Fails the check, with both sides, unless `holds`."""
    if not holds:
        raise Unmet(expected, seen)


def wait_for(expected, probe, holds=bool, limit=10.0, every=0.05):
    """Calls `probe` until its result `holds`, and returns the result and the seconds it took.

    An OSError counts as a result that does not hold.
    """
    start = time.monotonic()
    while True:
        try:
            seen = probe()
            if holds(seen):
                return seen, time.monotonic() - start
        except OSError as error:
            seen = f"{type(error).__name__}: {error}"
        if time.monotonic() - start > limit:
            raise Unmet(f"within {limit:g} s: {expected}", seen)
        time.sleep(every)


def free_ports(count):
    """Free loopback ports that no other caller gets, even while nothing listens on them.

    They are below the range of ephemeral ports, so a service that is killed finds its port free
    when it restarts.
    """
    return list(itertools.islice(filter(_is_free, _PORTS), count))


def _is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Service:
    """A program that can be killed and restarted; its log continues in one file."""

    def __init__(self, name, command, env, folder, noise=None):
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = [str(part) for part in command]
        self._env = {**clean_environment(), **{key: str(value) for key, value in env.items()}}
        self._folder = folder
        # Uninteresting lines of the log.
        self._noise = re.compile(noise) if noise else None
        self._child = None

    def configure(self, env):
        """Adds to the environment of later starts."""
        self._env.update({key: str(value) for key, value in env.items()})

    def start(self):
        """Starts the program in a new process group, unless it runs."""
        if self.running():
            return
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command,
                env=self._env,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def running(self):
        """Whether the program was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def expect_running(self):
        """Fails the check if the program has ended by itself."""
        if self._child is not None and self._child.poll() is not None:
            raise Unmet(f"{self.name} to run", f"it ended with exit code {self._child.returncode}")

    def kill(self):
        """Sends SIGKILL to the program and all its descendants."""
        if self._child is None:
            return
        for pid in [self._child.pid, *self.descendants()]:
            _signal(pid, signal.SIGKILL)
        self._child.wait()
        self._child = None

    def terminate(self, limit):
        """Sends SIGTERM; returns the exit code and the seconds it took."""
        start = time.monotonic()
        self._child.send_signal(signal.SIGTERM)
        try:
            code = self._child.wait(limit)
        except subprocess.TimeoutExpired as error:
            raise Unmet(f"{self.name} to end within {limit} s of SIGTERM", "it runs") from error
        self._child = None
        return code, time.monotonic() - start

    def reload(self):
        """Sends SIGHUP."""
        self._child.send_signal(signal.SIGHUP)

    def descendants(self):
        """The process ids of the program's descendants, including those in other groups."""
        found, parents = [], {self._child.pid} if self._child else set()
        processes = _processes()
        while parents:
            children = [pid for pid, parent, _ in processes if parent in parents]
            found += children
            parents = set(children)
        return found

    def kill_child(self, program):
        """Sends SIGKILL to the child that runs `program`; the service itself keeps running."""
        below = set(self.descendants())
        victims = [pid for pid, _, name in _processes() if pid in below and name == program]
        expect(len(victims) == 1, f"one {program} under {self.name}", f"{len(victims)} of them")
        _signal(victims[0], signal.SIGKILL)

    def text(self):
        """The log so far, without colours."""
        try:
            return _COLOUR.sub("", self.log.read_text(errors="replace"))
        except FileNotFoundError:
            return ""

    def tail(self, lines=40):
        """The end of the log, for people."""
        told = [
            line for line in self.text().splitlines()
            if not (self._noise and self._noise.search(line))
        ]
        return "\n".join(told[-lines:]) or "(nothing)"


def _processes():
    """Every process: its id, its parent's and the name of its program."""
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,comm="],
        capture_output=True, text=True, timeout=10, check=True,
    ).stdout
    rows = (line.split(None, 2) for line in listing.splitlines())
    return [(int(pid), int(parent), os.path.basename(name)) for pid, parent, name in rows]


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def clean_environment():
    """The environment without variables that could redirect or reconfigure a service."""
    unwanted = ("OPAL_", "OPA_", "OPTOGGLES_", "GIT_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(unwanted) and not name.lower().endswith("_proxy")
    }
    return {**kept, "NO_PROXY": "*", "no_proxy": "*"}
