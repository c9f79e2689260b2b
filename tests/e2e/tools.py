"""The programs that the tests use, each installed once into a cache folder.

A tool has a folder named after its version, with a stamp that records how it was installed. The
stamp is written last, so an interrupted installation is repeated.
"""

import concurrent.futures
import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

OPA = "1.9.0"
OPAL = "0.9.9"
JSON_SERVER = "0.17"
FLAGD_PROVIDER = "0.6.1"
OFREP_PYTHON = "0.3.0"
OPENFEATURE_JS = "1.23.0"
UNLEASH = "7.4.1"
UNLEASH_SDK = "6.12.1"
_JUDGE = Path(__file__).with_name("judge_unleash")

# Prerequisites, and how to install them on Debian and Ubuntu.
NEEDED = {
    "cargo": "https://rustup.rs",
    "curl": "apt-get install curl",
    "git": "apt-get install git",
    "go": "apt-get install golang-go",
    "node": "apt-get install nodejs",
    "npm": "apt-get install npm",
    "openssl": "apt-get install openssl",
    "ps": "apt-get install procps",
}
NEEDED_PYTHON = "apt-get install python3.11 python3.11-venv"
NEEDED_POSTGRESQL = "apt-get install postgresql"
# For Unleash.
NODE = 20

INSTALL_LIMIT = 900


class ToolError(Exception):
    """A tool is missing or cannot be installed; the text says what to do."""


@dataclass(frozen=True)
class Tools:
    """Paths of the installed programs."""

    opa: Path
    opal_server: Path
    opal_client: Path
    json_server: Path
    # A Python with OpenFeature's flagd provider.
    flagd_python: Path
    # A Python with OpenFeature's OFREP provider.
    ofrep_python: Path
    # The packages of OpenFeature's SDKs for JavaScript.
    openfeature_js: Path
    # The folder of initdb and postgres.
    postgresql: Path
    unleash: Path
    # The packages of Unleash's SDK for Node.js.
    unleash_sdk: Path
    # A judge with Unleash's engine in Rust.
    unleash_engine: Path


def cache_folder():
    """The folder of the installed tools, outside the source tree."""
    chosen = os.environ.get("OPTOGGLES_E2E_CACHE")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "optoggles-e2e"


def install(cache):
    """Installs missing tools in parallel, and returns the paths of all."""
    _require_installers()
    postgresql = _postgresql()
    opa = cache / f"opa-{OPA}"
    opal = cache / f"opal-{OPAL}"
    json_server = cache / f"json-server-{JSON_SERVER}"
    flagd = cache / f"flagd-provider-{FLAGD_PROVIDER}"
    ofrep = cache / f"ofrep-provider-{OFREP_PYTHON}"
    openfeature = cache / f"openfeature-js-{OPENFEATURE_JS}"
    unleash = cache / f"unleash-{UNLEASH}"
    unleash_sdk = cache / f"unleash-sdk-{UNLEASH_SDK}"
    unleash_engine = cache / f"unleash-engine-{_digest(_JUDGE)}"
    recipes = [
        _Recipe(opa, _opa_commands(), {"GOBIN": str(opa)}),
        _Recipe(opal, _opal_commands(opal), {}),
        _Recipe(json_server, _npm_commands(json_server, f"json-server@{JSON_SERVER}"), {}),
        _Recipe(flagd, _flagd_commands(flagd), {}),
        _Recipe(ofrep, _ofrep_commands(ofrep), {}),
        _Recipe(openfeature, _openfeature_commands(openfeature), {}),
        _Recipe(unleash, _npm_commands(unleash, f"unleash-server@{UNLEASH}"), {}),
        _Recipe(unleash_sdk, _npm_commands(unleash_sdk, f"unleash-client@{UNLEASH_SDK}"), {}),
        _Recipe(unleash_engine, *_judge_recipe(unleash_engine)),
    ]
    with concurrent.futures.ThreadPoolExecutor(len(recipes)) as pool:
        for done in [pool.submit(recipe.run) for recipe in recipes]:
            done.result()
    return Tools(
        opa=opa / "opa",
        opal_server=opal / "bin" / "opal-server",
        opal_client=opal / "bin" / "opal-client",
        json_server=json_server / "node_modules" / ".bin" / "json-server",
        flagd_python=flagd / "bin" / "python",
        ofrep_python=ofrep / "bin" / "python",
        openfeature_js=openfeature / "node_modules",
        postgresql=postgresql,
        unleash=unleash / "node_modules" / "unleash-server" / "dist" / "server.js",
        unleash_sdk=unleash_sdk / "node_modules",
        unleash_engine=unleash_engine / "bin" / "judge-unleash",
    )


def _opa_commands():
    return [["go", "install", f"github.com/open-policy-agent/opa@v{OPA}"]]


def _opal_commands(folder):
    # OPAL needs pydantic 1, and FastAPI 0.125 is the last version that supports it. Without the
    # bound, pip tries all newer combinations, which takes minutes.
    return _pip_commands(
        folder, f"opal-server=={OPAL}", f"opal-client=={OPAL}", "fastapi<0.126"
    )


def _flagd_commands(folder):
    return _pip_commands(folder, f"openfeature-provider-flagd=={FLAGD_PROVIDER}")


def _ofrep_commands(folder):
    return _pip_commands(folder, f"openfeature-provider-ofrep=={OFREP_PYTHON}")


def _openfeature_commands(folder):
    return _npm_commands(
        folder, f"@openfeature/server-sdk@{OPENFEATURE_JS}", "@openfeature/ofrep-provider@0.1.3",
        "@openfeature/web-sdk@1.10.0", "@openfeature/ofrep-web-provider@0.4.3",
        "@openfeature/flagd-core@4.0.1",
    )


def _pip_commands(folder, *packages):
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    return [
        [_python_for_opal(), "-m", "venv", str(folder)],
        [*pip, "install", "--only-binary=:all:", *packages],
    ]


def _npm_commands(folder, *packages):
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    return [["npm", "install", *quiet, "--prefix", str(folder), *packages]]


def _judge_recipe(folder):
    target = str(folder / "target")
    build = ["cargo", "install", "--quiet", "--locked", "--debug"]
    commands = [[*build, "--path", ".", "--root", str(folder)], ["rm", "-r", target]]
    return commands, {"CARGO_TARGET_DIR": target, "CARGO_PROFILE_DEV_DEBUG": "0"}, _JUDGE


def _digest(folder):
    """Tells versions of a folder's files apart."""
    files = (path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file())
    return hashlib.sha256(b"".join(files)).hexdigest()[:12]


def _postgresql():
    """The newest PostgreSQL. Debian does not put its programs into the PATH."""
    found = list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return max(found, key=lambda initdb: int(initdb.parts[-3])).parent
    elsewhere = shutil.which("initdb")
    if not elsewhere:
        raise ToolError(f"missing: PostgreSQL\n  {NEEDED_POSTGRESQL}")
    return Path(elsewhere).parent


def _python_for_opal():
    """The newest Python for which opal-server's pygit2 has wheels."""
    here = sys.version_info[:2]
    if (3, 10) <= here <= (3, 12):
        return sys.executable
    for minor in (12, 11, 10):
        found = shutil.which(f"python3.{minor}")
        if found:
            return found
    raise ToolError(
        f"missing: Python 3.10 to 3.12, which opal-server {OPAL} needs "
        f"(this is {here[0]}.{here[1]})\n  {NEEDED_PYTHON}"
    )


def _require_installers():
    missing = [tool for tool in NEEDED if shutil.which(tool) is None]
    if missing:
        lines = [f"missing: {tool}\n  {NEEDED[tool]}" for tool in missing]
        raise ToolError("\n".join(lines))
    _require_node()


def _require_node():
    said = subprocess.run(
        ["node", "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        check=False,
    ).stdout
    version = re.match(r"v(\d+)", said)
    if not version or int(version[1]) < NODE:
        raise ToolError(f"Unleash needs Node.js {NODE}; this is {said.strip() or 'unknown'}")


@dataclass(frozen=True)
class _Recipe:
    """How to install one folder of the cache."""

    folder: Path
    commands: list
    env: dict
    # Where the commands run.
    cwd: Path | None = None

    def run(self):
        stamp = self.folder / ".installed"
        recipe = "\n".join(" ".join(command) for command in self.commands) + "\n"
        if stamp.is_file() and stamp.read_text() == recipe:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for command in self.commands:
            self._run_one(command)
        stamp.write_text(recipe)

    def _run_one(self, command):
        print(f"     installing: {' '.join(command)}", flush=True)
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **self.env},
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=INSTALL_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired as too_slow:
            raise ToolError(f"not done after {INSTALL_LIMIT} s: {' '.join(command)}") from too_slow
        if done.returncode != 0:
            tail = "\n".join(done.stdout.splitlines()[-20:])
            hint = f"\n  {NEEDED_PYTHON}" if "venv" in command else ""
            raise ToolError(f"failed ({done.returncode}): {' '.join(command)}\n{tail}{hint}")
