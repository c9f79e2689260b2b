"""The recipes: every block of docs/recipes.md, in a folder and with an OPA of its own."""

import os
import re
import subprocess
from pathlib import Path

import web
from checks import check
from processes import Service, clean_environment, expect, free_ports, wait_for

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# The port that the page names; a free one is used in its place.
_SHOWN = "8181"
# Differs each time.
_SECONDS = re.compile(r"\d+\.\d+s")


def _blocks(text):
    """The blocks of a part of the page by their language."""
    found = {}
    for language, block in _BLOCK.findall(text):
        found.setdefault(language, []).append(block)
    return found


def _play(lab, title, base, blocks):
    """Types what stands behind each `$` beside the recipe's files, and compares what is printed."""
    folder = lab.stack.folder / re.sub(r"\W+", "-", f"recipe {title}")
    folder.mkdir()
    port = str(free_ports(1)[0])
    (folder / "policy.rego").write_text("".join(blocks.get("rego", ["package none\n"])))
    (folder / "data.json").write_text("".join(blocks.get("json", base["json"])))
    toggles = "".join(blocks["toml"])
    config = "".join(base["toml"]).replace(_SHOWN, port)
    if "[target" in toggles:
        config = config.partition("[target]")[0]
    (folder / "optoggles.toml").write_text(config + toggles)
    command = [lab.stack.tools.opa, "run", "--server", "--addr", f"127.0.0.1:{port}",
               "--disable-telemetry", "data.json", "policy.rego"]
    opa = Service("opa", command, {}, folder)
    opa.start()
    try:
        healthy = f"http://127.0.0.1:{port}/health"
        wait_for("OPA to answer", lambda: web.status(healthy), (200).__eq__)
        for session in blocks["console"]:
            for step in session.removeprefix("$ ").split("\n$ "):
                typed, _, shown = step.partition("\n")
                printed = _type(lab, folder, typed.replace(_SHOWN, port)).replace(port, _SHOWN)
                expect(_timeless(printed) == _timeless(shown), f"$ {typed}\n{shown}", printed)
    finally:
        opa.kill()


def _type(lab, folder, line):
    path = [str(program.parent) for program in (lab.binary, lab.stack.tools.opa)]
    env = {**clean_environment(), "LAUNCHDARKLY_TOKEN": "any"}
    env["PATH"] = os.pathsep.join([*path, env["PATH"]])
    return subprocess.run(
        ["/bin/sh", "-c", f"exec 2>&1; {line}"], env=env, cwd=folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True, timeout=60, check=False,
    ).stdout


def _timeless(text):
    return _SECONDS.sub("…s", text).strip()


def _add_checks():
    """A check for each part of the page that has a session; its beginning is the base of all."""
    parts = re.split(r"^##+ (.*)\n", _PAGE.read_text(), flags=re.MULTILINE)
    base = _blocks(parts[0])
    for title, text in zip(parts[1::2], parts[2::2]):
        blocks = _blocks(text)
        check(f"docs/recipes.md, {title}: prints what is shown")(
            lambda lab, title=title, blocks=blocks: _play(lab, title, base, blocks)
        )


_add_checks()
