"""Sources over TLS: OpenSSL's server and OPA, both of which require a client certificate."""

import json
import socket
import subprocess
from contextlib import contextmanager

import web
from checks import check
from processes import Service, expect, free_ports, wait_for
from stack import PACKAGE, RULES
from world import US_USERS

_HOST = "localhost"
_TRUSTED = 'ca_file = "ca.pem"'
_CERTIFIED = f'{_TRUSTED}\ncert_file = "client.pem"\nkey_file = "client.key"'


@check("openssl s_server with a private authority: queried with our certificate, not without")
def openssl_server(lab):
    folder = _certificates(lab)
    port = free_ports(1)[0]
    # It serves files as they are: responses of the real OPA.
    for key, rule in RULES.items():
        page = folder / "v1" / "data" / PACKAGE.replace(".", "/") / rule
        page.parent.mkdir(parents=True, exist_ok=True)
        body = json.dumps({"result": lab.stack.rules()[key]})
        head = f"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        page.write_bytes(f"{head}\r\n\r\n{body}".encode())
    command = [
        "openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-HTTP",
        "-cert", "server.pem", "-key", "server.key",
        "-CAfile", "ca.pem", "-Verify", "1", "-verify_return_error",
    ]
    with _running(Service("openssl", command, {}, folder), port):
        _expect_right_with_our_certificate_alone(lab, folder, port)


@check("OPA with --authentication=tls: queried with our certificate, not without")
def opa_with_tls(lab):
    folder = _certificates(lab)
    port = free_ports(1)[0]
    data = folder / "data.json"
    data.write_text(json.dumps({"users": lab.stack.world.directory.users}))
    command = [
        lab.stack.tools.opa, "run", "--server", "--addr", f"https://127.0.0.1:{port}",
        "--tls-cert-file", "server.pem", "--tls-private-key-file", "server.key",
        "--tls-ca-cert-file", "ca.pem", "--authentication=tls", "--disable-telemetry",
        lab.stack.world.repository / "rbac.rego", data,
    ]
    with _running(Service("opa-with-tls", command, {}, folder), port):
        _expect_right_with_our_certificate_alone(lab, folder, port)


def _expect_right_with_our_certificate_alone(lab, folder, port):
    users = f"{lab.stack.target_url}/toggles/{US_USERS}"
    web.call("PATCH", users, {"users": ["mallory"]})
    before = lab.stack.toggles()
    for name, lines, said in [
        ("unknown.toml", "", "UnknownIssuer"),
        ("nameless.toml", _TRUSTED, "the server requires another client certificate"),
    ]:
        run = _sync(lab, folder, name, port, lines)
        expect(run.code == 1 and said in run.out, f"exit 1, and {said!r}", run)
        expect(lab.stack.toggles() == before, before, lab.stack.toggles())
    run = _sync(lab, folder, "right.toml", port, _CERTIFIED)
    expect(run.code == 0, "exit 0", run)
    wanted = lab.stack.world.users_of_toggles()
    expect(lab.stack.toggles() == wanted, wanted, lab.stack.toggles())


def _sync(lab, folder, name, port, lines):
    source = f'type = "opa"\nurl = "https://{_HOST}:{port}"\n{lines}'
    config = lab.write_config(folder / name, RULES, source)
    return lab.run("sync", "--timeout", "100ms", config=config)


@contextmanager
def _running(service, port):
    service.start()
    try:
        def connect():
            service.expect_running()
            socket.create_connection(("127.0.0.1", port), 5).close()
            return True
        wait_for(f"{service.name} to listen", connect)
        yield
    finally:
        service.kill()


def _certificates(lab):
    """A folder with an authority, and its certificates for the server and for us."""
    folder = lab.stack.folder / "tls"
    if folder.exists():
        return folder
    folder.mkdir()
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _openssl(
        folder, "req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem",
        "-days", "2", "-subj", "/CN=Authority of the tests",
    )
    for name, extensions in [
        ("server", f"subjectAltName=DNS:{_HOST}\nextendedKeyUsage=serverAuth\n"),
        ("client", "subjectAltName=DNS:optoggles\nextendedKeyUsage=clientAuth\n"),
    ]:
        (folder / f"{name}.txt").write_text(extensions)
        _openssl(
            folder, "req", "-new", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr",
            "-subj", f"/CN={name}",
        )
        _openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", f"{name}.txt", "-out", f"{name}.pem",
        )
    return folder


def _openssl(folder, *arguments):
    done = subprocess.run(
        ["openssl", *arguments], cwd=folder, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=30, check=False,
    )
    expect(done.returncode == 0, f"openssl {arguments[0]} to succeed", done.stderr)
