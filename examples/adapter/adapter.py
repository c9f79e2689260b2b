#!/usr/bin/env python3
"""Keeps the toggles of optoggles in a JSON file: FLAGS_TOKEN=… adapter.py PORT FILE."""
import hmac, json, os, signal, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

PORT, FILE, BEARER = int(sys.argv[1]), sys.argv[2], f"Bearer {os.environ['FLAGS_TOKEN']}"
LOCK = threading.Lock()  # optoggles sends several requests at once

def load():  # put your platform's API into this function and the next
    if not os.path.exists(FILE):
        return {}
    with open(FILE) as file:
        return json.load(file)

def save(toggles):
    with open(f"{FILE}.new", "w") as file:
        json.dump(toggles, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, FILE)  # readers never see half of it

def answer(method, path, body):
    toggles = load()
    key = body["key"] if method == "POST" else unquote(path.removeprefix("/toggles/"))
    if (key in toggles) == (method == "POST"):
        return (409 if method == "POST" else 404), {"message": f"toggle {key}"}
    if method != "GET":
        toggles[key] = toggles.get(key, {}) | body
        save(toggles)
    return 200, toggles[key]

class Handler(BaseHTTPRequestHandler):
    protocol_version, timeout = "HTTP/1.1", 60  # connections are kept, but not for ever

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status, told = 401, {"message": "wrong token"}
            if hmac.compare_digest(self.headers.get("Authorization", "").encode(), BEARER.encode()):
                with LOCK:
                    status, told = answer(self.command, self.path, json.loads(body or "{}"))
        except Exception as error:
            status, told = 500, {"message": str(error)}  # optoggles shows it, and tries again
        text = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", len(text))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_PATCH = do_GET

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
