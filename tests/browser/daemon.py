"""optoggles serve with users and flags in files, which needs no other service."""

import json
import os
import signal
import socket
import subprocess


class Daemon:
    """A running daemon whose users the checks set."""

    def __init__(self, binary, folder, keys, max_removal):
        self._users = folder / "users.json"
        self._rules = [f"rule_{number}" for number in range(len(keys))]
        self._allowed = {}
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}/"
        config = folder / "optoggles.toml"
        config.write_text(_config(port, keys, self._rules, max_removal))
        log = (folder / "log").open("w")
        self._process = subprocess.Popen(  # pylint: disable=consider-using-with
            [binary, "-c", config, "serve"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={"PATH": os.defpath},
        )

    def allow(self, users, only=None):
        """Sets the users of every rule, or of only one."""
        for rule in [only] if only else self._rules:
            self._allowed[rule] = users
        self._write()

    def undefine(self, rule):
        """Removes a rule."""
        del self._allowed[rule]
        self._write()

    def stop(self):
        """Stops it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(15)

    def _write(self):
        text = json.dumps({"app": {"rbac": self._allowed}})
        new = self._users.with_suffix(".new")
        new.write_text(text)
        new.rename(self._users)


def _config(port, keys, rules, max_removal):
    lines = [
        f'bind = "127.0.0.1:{port}"',
        f'max_removal = "{max_removal}"',
        '[[sources]]\nid = "files"\ntype = "file"\npath = "users.json"',
        '[target]\ntype = "flagd"\npath = "flags.json"',
    ]
    for key, rule in zip(keys, rules):
        policy = f'{{ source = "files", package = "app.rbac", rule = "{rule}" }}'
        lines.append(f'[[toggles]]\nkey = "{key}"\nusers_policy = {policy}')
    return "\n".join(lines) + "\n"


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
