"""OPAL in secure mode: its server signs tokens, and its client's API requires a listener token."""

import secrets
import subprocess
from contextlib import contextmanager

import web
from lab import Lab
from processes import clean_environment, expect, wait_for
from stack import Stack

LISTENER = "listener"
KINDS = ["client", "datasource", LISTENER]


class SecureStack(Stack):
    """The stack with keys: nothing is published, fetched or registered without a token."""

    def __init__(self, tools, folder, client_settings):
        super().__init__(tools, folder)
        self.master_token = secrets.token_hex(16)
        self.client_token = None
        private, public = folder / "private.pem", folder / "public.pem"
        _openssl("genrsa", "-out", private, "2048")
        _openssl("rsa", "-in", private, "-pubout", "-out", public)
        verifies = {"OPAL_AUTH_PUBLIC_KEY": public, "OPAL_AUTH_PUBLIC_KEY_FORMAT": "pem"}
        self.opal_server.configure({
            **verifies,
            "OPAL_AUTH_PRIVATE_KEY": private,
            "OPAL_AUTH_MASTER_TOKEN": self.master_token,
        })
        self.opal_client.configure({**verifies, **client_settings})

    def start(self):
        """Starts the services that do not run; OPAL's client needs a token from its server."""
        if self.client_token is None:
            self.opal_server.start()
            wait_for("opal-server to answer",
                     lambda: web.status(f"{self.opal_server_url}/healthcheck"), (200).__eq__, 60)
            self.client_token, self.publisher_token, self.listener_token = (
                self.obtain_token(kind) for kind in KINDS
            )
            self.opal_client.configure({"OPAL_CLIENT_TOKEN": self.client_token})
        super().start()

    def add_user(self, user):
        """Adds a user in the US to the directory, and publishes it."""
        self.world.directory.users[user] = {"location": {"country": "US"}, "roles": []}
        self.publish(f"/users/{user}", self.world.directory.users[user])

    def obtain_token(self, kind, *options):
        """A token of that kind from OPAL's own command."""
        command = [
            str(self.tools.opal_client), "obtain-token", self.master_token,
            "--server-url", self.opal_server_url, "--type", kind, *options,
        ]
        done = subprocess.run(
            command, env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=30, check=False,
        )
        expect(done.returncode == 0, f"a token of kind {kind}", f"{done.stdout}{done.stderr}")
        return done.stdout.strip()


class SecureLab(Lab):
    """optoggles with an OPAL that requires a token."""

    def write_config(self, name, rules, source=None, target=None):
        """Like Lab's, with a listener token unless the lines of a source are given."""
        return super().write_config(name, rules, source or self.source_with(LISTENER), target)

    def source_with(self, name):
        """The lines of a source whose token is in the file of that name."""
        return "\n".join([
            f'url = "{self.stack.opal_url}"',
            f'advertised_address = "127.0.0.1:{self.stack.optoggles_port}"',
            f'token = "${{file:{self._token_file(name)}}}"',
        ])

    def keep_token(self, name, token):
        """Writes the file of a token that must never be shown."""
        path = self._token_file(name)
        path.write_text(f"{token}\n")
        path.chmod(0o600)
        self.secrets.add(token)

    def _token_file(self, name):
        return self.stack.folder / f"{name}.token"


@contextmanager
def secure_lab(lab, name, **client_settings):
    """A separate lab in a folder of that name, with a running stack in secure mode."""
    folder = lab.stack.folder / name
    folder.mkdir()
    stack = SecureStack(lab.stack.tools, folder, client_settings)
    try:
        stack.start()
        secure = SecureLab(lab.binary, stack)
        try:
            secure.keep_token(LISTENER, stack.listener_token)
            yield secure
        finally:
            secure.stop()
    finally:
        stack.stop()


def _openssl(*arguments):
    done = subprocess.run(
        ["openssl", *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=30, check=False,
    )
    expect(done.returncode == 0, f"openssl {arguments[0]} to succeed", done.stderr)
