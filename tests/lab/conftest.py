# SPDX-License-Identifier: GPL-2.0-or-later
"""Helpers for tests of the lab as a whole: where pinlab is, how to run it as this user and as nobody, and what it
may not leave behind. PINLAB names the program; else the newest in build/*/ is taken."""

import copy
import errno
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from workbench import standing

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
sys.path.insert(0, str(ROOT / "tests/harness"))
pytest_plugins = ["pinlab_harness"]  # for tests that want a lab that stands
TOPOLOGIES = sorted((ROOT / "topologies").glob("*.ini"))
# What no kernel does: the tree's lessons about these are for the model.
MODEL_ONLY = re.compile(
    r"^(rewrite-payload|symmetric-after|mapping-age|icmp-drops-mapping|early-port-reuse|first-packet-lost|mapping-rate|"
    r"port-overloading|port-parity|port-step|inbound-refresh = no|delay|loss|loss-mask|duplicate|rate)\b", re.M)
MODEL_TOPOLOGIES = [path for path in TOPOLOGIES if MODEL_ONLY.search(path.read_text(encoding="utf-8"))]
KERNEL_TOPOLOGIES = [path for path in TOPOLOGIES if path not in MODEL_TOPOLOGIES]
LIMIT_SECONDS = 120  # for any one command; a test that takes longer has failed


def find_pinlab():
    if os.environ.get("PINLAB"):
        return Path(os.environ["PINLAB"]).resolve()
    built = sorted(ROOT.glob("build/*/pinlab"), key=lambda path: path.stat().st_mtime)
    if not built:
        raise RuntimeError("pinlab is not built: run tests/run, or cmake --preset dev && cmake --build --preset dev")
    return built[-1]


class Result:
    """What a finished command did."""

    def __init__(self, process, stdout, stderr):
        self.status = process.returncode
        self.stdout = stdout
        self.stderr = stderr

    @property
    def text(self):
        return self.stdout + self.stderr

    def json(self):
        return json.loads(self.stdout)

    def expect(self, status):
        if self.status != status:
            pytest.fail(f"exit status {self.status}, expected {status}\n{self.short()}", pytrace=False)
        return self

    def short(self):
        """What it said, of a matrix in JSON only the cells that did not pass."""
        try:
            cells = self.json()["cells"]
        except (ValueError, KeyError):
            return self.text[-8000:]
        return "\n".join(story(cell) for cell in cells if cell["verdict"] != "pass") + self.stderr


def story(cell):
    """A cell in short: what went wrong, and what its programs said."""
    lines = [f"{cell['topology']}: {cell['verdict']}, seed {cell['seed']}", *cell["reasons"]]
    for name, host in cell["hosts"].items():
        if host["program"]:
            lines += [f"{name} ended with {host['program']['exit']} and had put out:", host["program"]["output"] or ""]
    return "\n".join(lines)


ENGINES = ["kernel", "fabric"]  # those that run any program


class Pinlab:
    """A pinlab program that runs as this user, or as nobody."""

    engine = None  # of cells; None: the default one

    def __init__(self, program, topologies, prefix=(), env=None):
        self.program = Path(program)
        self.topologies = Path(topologies)
        self.prefix = [str(word) for word in prefix]
        self.env = {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}

    def on(self, engine):
        """The same program, whose cells are on this engine."""
        other = copy.copy(self)
        other.engine = engine
        return other

    def command(self, *arguments):
        return [*self.prefix, str(self.program), *(str(argument) for argument in arguments)]

    def start(self, *arguments, env=None, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(self.command(*arguments), env={**self.env, **(env or {})}, text=True, **options)

    def run(self, *arguments, **options):
        process = self.start(*arguments, **options)
        try:
            stdout, stderr = process.communicate(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
            pytest.fail(f"took more than {LIMIT_SECONDS} s: {arguments}\n{stdout}{stderr}")
        return Result(process, stdout, stderr)

    def cell(self, topology, *arguments, status=None):
        """Runs one topology; returns its verdict as an object, and the result."""
        engine = ["--engine", self.engine] if self.engine else []
        result = self.run("matrix", topology, "--json", "-", *engine, *arguments)
        if not result.stdout:
            result.expect(status)
        cells = result.json()["cells"]
        assert len(cells) == 1, result.text
        if status is not None and result.status != status:
            pytest.fail(f"exit status {result.status}, expected {status}\n" + story(cells[0]))
        return cells[0], result


@pytest.fixture(scope="session")
def pinlab():
    return Pinlab(find_pinlab(), ROOT / "topologies")


@pytest.fixture
def our_pinlab(monkeypatch):
    """Labs that stand are made by the same pinlab."""
    monkeypatch.setenv("PINLAB", str(find_pinlab()))


@pytest.fixture(scope="session")
def installed():
    """The prefix of an installed tree that everybody may read."""
    prefix = Path(tempfile.mkdtemp(prefix="pinlab-installed-"))
    try:
        os.chmod(prefix, 0o755)
        subprocess.run(
            ["cmake", "--install", str(find_pinlab().parent), "--prefix", str(prefix)],
            check=True, stdout=subprocess.DEVNULL, timeout=LIMIT_SECONDS,
        )
        yield prefix
    finally:
        shutil.rmtree(prefix)


@pytest.fixture(scope="session")
def nobody(installed):
    """pinlab without any privileges; as this user, when that is not root anyway."""
    prefix = []
    if os.geteuid() == 0:
        prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all",
                  "--bounding-set=-all"]
    env = {"HOME": "/", "TMPDIR": "/tmp"}
    return Pinlab(installed / "bin/pinlab", installed / "share/pinlab/topologies", prefix, env)


@pytest.fixture(scope="module", params=ENGINES)
def work(pinlab, request):
    """A lab that stands while a file's tests run."""
    with standing(pinlab, ROOT / "topologies/port-restricted.ini", "--engine", request.param) as lab:
        lab.engine = request.param
        yield lab


@pytest.fixture
def shared():
    """A directory that nobody may write to as well."""
    path = Path(tempfile.mkdtemp(prefix="pinlab-shared-"))
    os.chmod(path, 0o777)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def write(tmp_path):
    """Writes a topology file and returns its path."""

    def write_file(text, name="case.ini"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


def processes_with(marker):
    """The processes that have the marker in their command line, as pid: command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if marker.encode() in words:
                found[int(entry.name)] = words.replace(b"\0", b" ").decode(errors="replace")
    return found


def gone(marker, seconds=10):
    """Waits until no process has the marker any more; returns those that stay."""
    end = time.monotonic() + seconds
    while (left := processes_with(marker)) and time.monotonic() < end:
        select_for(0.01)
    return left


def select_for(seconds):
    """Gives way for a moment, between two looks at something that sends no event."""
    import select

    select.select([], [], [], seconds)


def type_in(fifo, data, program, seconds=20):
    """Writes to a program's FIFO, which nobody reads while the program begins, or when it has ended."""
    end = time.monotonic() + seconds
    while True:
        try:
            descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError as error:
            assert error.errno == errno.ENXIO and time.monotonic() < end and program.returncode is None, \
                f"{error}\n{program.output}"
        select_for(0.01)
    os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(data)


def axes(subject, judge):
    """What one judge of a verdict's host or NAT said, by axis, without what it left open."""
    return {axis: judges[judge] for axis, judges in subject["axes"].items() if judges.get(judge)}


@pytest.fixture(scope="session")
def place():
    """A directory that hosts see, too: they have a /tmp and /run of their own."""
    with tempfile.TemporaryDirectory(prefix="pinhole-", dir="/var/tmp") as path:
        os.chmod(path, 0o755)
        yield Path(path)


@pytest.fixture(scope="session")
def pinhole(place):
    """The pinhole program, for hosts: PINHOLE names it; else it is the one built beside pinlab."""
    if os.environ.get("PINHOLE"):
        return str(Path(os.environ["PINHOLE"]).resolve())
    subprocess.run(["cmake", "--install", str(find_pinlab().parent), "--prefix", str(place)], check=True,
                   stdout=subprocess.DEVNULL, timeout=LIMIT_SECONDS)
    return str(place / "bin/pinhole")


def claim(cell, host="alice"):
    """What a host's classification wrote."""
    output = cell["hosts"][host]["program"]["output"]
    try:
        return json.loads(output)
    except ValueError:
        return pytest.fail(story(cell))
