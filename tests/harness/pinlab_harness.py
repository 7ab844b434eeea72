# SPDX-License-Identifier: GPL-2.0-or-later
"""A pytest plugin: gives a test a running lab, in which hosts run programs behind NATs. See docs/harness.md.

    pytest_plugins = ["pinlab_harness"]                      in conftest.py

    @pytest.mark.parametrize("topology", ["full-cone", "symmetric"])
    def test_something(lab):
        server = lab.host("hub").popen(["./server"], ready="listening")
        assert "hello" in lab.host("alice").run(["./client", "hub"]).stdout
"""

import contextlib
import hashlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest

LIMIT_SECONDS = 60  # for any one command, unless the test says otherwise
# Nobody in the lab waits for who reads its capture, and that one may get little of a machine that does much else: each
# lab's programs are a session of their own, and sessions share the processors evenly, while all tests are one.
READ_SECONDS = 300
GRACE_SECONDS = 5  # between asking a program to end and killing it
SEED_MAX = 2**53 - 1

BAD_INPUT, UNSUPPORTED = 2, 77  # exit status of pinlab

__tracebackhide__ = True  # in this file: a failure shows the test's own line

_LAB = pytest.StashKey()
_FAILED = pytest.StashKey()


def find_pinlab():
    """$PINLAB; the one that this file was installed with; else the PATH's."""
    beside = Path(__file__).resolve().parents[3] / "bin/pinlab"
    named = os.environ.get("PINLAB")
    found = shutil.which(named or (str(beside) if beside.exists() else "pinlab"))
    if not found and named:
        pytest.exit(f"$PINLAB is {named}, which is no program (expected the path of pinlab)", returncode=2)
    if not found:
        pytest.exit("pinlab is not installed (expected it on the PATH, or named by $PINLAB)", returncode=2)
    return str(Path(found).resolve())


class LabError(AssertionError):
    """Something in the lab did not go as the test wants; the message has what was put out."""


class Program:
    """A program that runs on a host, its output in a file."""

    def __init__(self, command, argv, log):
        self.argv, self.log = argv, log
        self._file = open(log, "wb")
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._file, stderr=subprocess.STDOUT)

    @property
    def output(self):
        """All that it has put out so far, standard output and error together."""
        return self.log.read_text(errors="replace")

    @property
    def returncode(self):
        """Its exit status; None while it runs."""
        return self._process.poll()

    def wait_for(self, text, timeout=LIMIT_SECONDS):
        """Waits until its output contains the text."""
        end = time.monotonic() + timeout
        while text not in self.output:
            ended = self.returncode is not None
            if text in self.output:
                break
            if ended or time.monotonic() > end:
                what = f"ended with status {self.returncode}" if ended else f"put out no \"{text}\" in {timeout} s"
                raise LabError(f"{self.argv} {what}; it put out:\n{self.output}")
            select.select([], [], [], 0.01)
        return self

    def wait(self, timeout=LIMIT_SECONDS):
        """Waits for its end, and returns its exit status."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.argv} did not end in {timeout} s; it put out:\n{self.output}") from None

    def send_signal(self, number):
        self._process.send_signal(number)

    def stop(self):
        """SIGTERM, and a while later SIGKILL to what runs it, which hangs it up."""
        if self.returncode is None:
            self.send_signal(signal.SIGTERM)
            try:
                self._process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._file.close()


class Host:
    """A host, or a NAT as a place where programs can run."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name

    def command(self, argv):
        return [self.lab.pinlab, "exec", self.lab.name, self.name, "--", *(str(word) for word in argv)]

    def run(self, argv, check=True, timeout=LIMIT_SECONDS, **options):
        """Runs a command to its end: a subprocess.CompletedProcess with text. With `check` a status other than 0 is a
        failure. `options` are those of subprocess.run, such as input and env."""
        options = {"stdin": None if "input" in options else subprocess.DEVNULL, "text": True, **options}
        try:
            done = subprocess.run(self.command(argv), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                                  check=False, **{key: value for key, value in options.items() if value is not None})
        except subprocess.TimeoutExpired as late:
            said = b"".join(part if isinstance(part, bytes) else part.encode()
                            for part in (late.stdout, late.stderr) if part)
            self.lab.keep(self.name, argv, said.decode(errors="replace"))
            raise LabError(f"{self.name}: {argv} did not end in {timeout} s; it put out:\n"
                           f"{said.decode(errors='replace')}") from None
        self.lab.keep(self.name, argv, f"{done.stdout}{done.stderr}")
        if check and done.returncode:
            raise LabError(f"{self.name}: {argv} ended with status {done.returncode}; it put out:\n"
                           f"{done.stdout}{done.stderr}")
        return done

    def popen(self, argv, ready=None, timeout=LIMIT_SECONDS):
        """Starts a program, which is stopped with the lab; with `ready` waits until it has put out that text."""
        program = Program(self.command(argv), argv, self.lab.log_path(self.name, argv))
        self.lab.programs.append(program)
        return program.wait_for(ready, timeout) if ready else program

    @property
    def output(self):
        """What the host's program of the topology's file has put out."""
        return self.lab.call("output", self.name)


class Nat(Host):
    """A NAT: what may happen to it, and what it knows."""

    def flush(self):
        """All mappings are forgotten."""
        self.lab.call("nat", self.name, "flush")

    def reboot(self):
        """The same, and it passes nothing on for an instant; its links stay up."""
        self.lab.call("nat", self.name, "reboot")

    def address(self, address):
        """Another external address."""
        self.lab.call("nat", self.name, "address", str(address))

    def table(self):
        """What it translates now: dicts with protocol, inside, external, remote, from, ..."""
        return json.loads(self.lab.call("nat", self.name, "table", "--json"))["connections"]


class Captures:
    """The lab's recording: both sides of every NAT, and every host that is not behind one."""

    def __init__(self, lab):
        self.path = lab.directory / "captures.pcapng"
        self._process = subprocess.Popen([lab.pinlab, "capture", lab.name, "-w", str(self.path)], text=True,
                                         stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = self._process.stderr.readline()
        if "recording" not in said:
            raise LabError(f"the lab cannot be recorded: {said}{self._process.communicate()[1]}")

    def stop(self):
        """Ends the recording, after which the file is whole; returns its path."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
            _, said = self._process.communicate(timeout=LIMIT_SECONDS)
            if self._process.returncode != 0:
                raise LabError(f"the recording is not whole: {said}")
        return self.path

    def packets(self, display_filter="", fields=("frame.interface_name", "ip.src", "ip.dst", "_ws.col.Info")):
        """Ends the recording, and has tshark read it: a tuple of these fields for each packet that passes the filter."""
        command = ["tshark", "-n", "-r", str(self.stop()), "-T", "fields", *(f"-e{field}" for field in fields)]
        done = subprocess.run([*command, *(["-Y", display_filter] if display_filter else [])], capture_output=True,
                              text=True, check=False, timeout=READ_SECONDS)
        if done.returncode:
            raise LabError(f"tshark cannot read {self.path}: {done.stderr}")
        return [tuple(line.split("\t")) for line in done.stdout.splitlines()]


class Lab:
    """A lab that stands."""

    def __init__(self, topology, engine, seed, directory):
        self.pinlab, self.topology, self.seed, self.directory = find_pinlab(), topology, seed, directory
        self._engine = ["--engine", engine] if engine else []
        self.name = f"pytest-{uuid.uuid4().hex[:12]}"
        self.programs, self._logs, self.captures, self.stands = [], 0, None, False
        try:
            self._process = subprocess.Popen(
                [self.pinlab, "up", "--foreground", "--name", self.name, *self._engine, "--seed", str(seed),
                 str(topology)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        except OSError as error:
            pytest.exit(f"{self.pinlab} cannot be started: {error.strerror} (expected pinlab)", returncode=2)

    def await_ready(self):
        """None when it stands, else why not and pinlab's exit status."""
        self.stands = self._process.stdout.readline().strip() == self.name
        if self.stands:
            return None
        _, said = self._process.communicate(timeout=LIMIT_SECONDS)
        reason = said.strip() or f"{self.pinlab} up ended with status {self._process.returncode}, and said nothing"
        return reason, self._process.returncode

    def replay(self, kept):
        """The command that makes the same lab; a topology that was a text is only in the directory that is kept."""
        own = Path(self.topology).parent == self.directory
        words = [str(kept / Path(self.topology).name if own else self.topology), *self._engine, "--seed", str(self.seed)]
        return f"pinlab up {' '.join(words)}"

    def host(self, name):
        return Host(self, name)

    def nat(self, name):
        return Nat(self, name)

    def call(self, command, *words):
        done = subprocess.run([self.pinlab, command, self.name, *words], capture_output=True, text=True, check=False,
                              timeout=LIMIT_SECONDS, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise LabError(done.stderr.strip())
        return done.stdout

    def log_path(self, host, argv):
        self._logs += 1
        word = re.sub(r"[^A-Za-z0-9._-]", "-", os.path.basename(str(argv[0])))
        return self.directory / f"{self._logs:02}-{host}-{word}.log"

    def keep(self, host, argv, text):
        self.log_path(host, argv).write_text(text, errors="replace")

    def down(self):
        """Whatever happened, nothing of it stays."""
        with contextlib.ExitStack() as last:
            last.callback(self._end)
            for program in reversed(self.programs):
                last.callback(program.stop)
            if self.captures:
                last.callback(self.captures.stop)

    def _end(self):
        self._process.terminate()
        try:
            self._process.communicate(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def pytest_addoption(parser):
    group = parser.getgroup("pinlab")
    group.addoption("--pinlab-artifacts", metavar="DIR", default="pinlab-artifacts",
                    help="where captures and output of failed tests are kept (default: pinlab-artifacts)")
    group.addoption("--pinlab-engine", metavar="ENGINE", help="what builds the labs (default: pinlab's own)")
    group.addoption("--pinlab-seed", metavar="N", type=int, help="the labs' seed (default: another one each time)")
    group.addoption("--pinlab-no-skip", action="store_true", help="a lab that this machine cannot build is a failure")


def pytest_configure(config):
    config.addinivalue_line("markers", "topology(topology): the lab's topology: a name, a file, or its text")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Says where things are kept and how to have the same lab again."""
    report = (yield).get_result()
    lab = item.stash.get(_LAB, None)
    if lab and report.failed:
        item.stash[_FAILED] = True
        kept = artifacts_of(item)
        captures = f"captures and output: {kept}\n" if lab.stands else ""
        report.sections.append(("pinlab", f"{captures}the same lab: {lab.replay(kept)}"))


def shorten(text, most):
    """A text as part of a file name: what is too long keeps its beginning, and a hash of all."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")
    if len(name) <= most:
        return name
    return f"{name[:most - 9].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def artifacts_of(item):
    """Of test_file.py::test_name[parameters]; a parameter may be a whole topology."""
    test, _, parameters = item.nodeid.partition("[")
    name = "-".join(part for part in (shorten(test, 120), shorten(parameters.rstrip("]"), 40)) if part)
    return Path(item.config.getoption("--pinlab-artifacts")).resolve() / name


def topology_file(topology, request, directory):
    """A text becomes a file; a file is looked for beside the test first; the rest pinlab knows."""
    text = str(topology)
    if "\n" in text:
        path = directory / "topology.ini"
        path.write_text(text)
        return path
    beside = request.path.parent / text
    return beside if beside.is_file() else text


@pytest.fixture
def topology(request):
    """What lab is made of; parametrize a test with it, or mark it."""
    marker = request.node.get_closest_marker("topology")
    if not marker:
        pytest.fail("which topology? (expected @pytest.mark.topology(...), or parametrize(\"topology\", ...))")
    return marker.args[0]


@pytest.fixture
def engine(request):
    """What builds the lab; parametrize a test with it to have it on several."""
    return request.config.getoption("--pinlab-engine")


@pytest.fixture
def lab(request, topology, engine, tmp_path_factory):
    """A lab that stands, is recorded, and is gone after the test."""
    directory = tmp_path_factory.mktemp("lab")
    seed = request.config.getoption("--pinlab-seed")
    standing = Lab(topology_file(topology, request, directory), engine,
                   uuid.uuid4().int % SEED_MAX % 2**32 if seed is None else seed, directory)
    try:
        problem = standing.await_ready()
        if problem:
            reason, status = problem
            if status == UNSUPPORTED and not request.config.getoption("--pinlab-no-skip"):
                pytest.skip(reason)
            if status not in (UNSUPPORTED, BAD_INPUT):
                request.node.stash[_LAB], request.node.stash[_FAILED] = standing, True
            pytest.fail(reason, pytrace=False)
        request.node.stash[_LAB] = standing
        standing.captures = Captures(standing)
        yield standing
    finally:
        try:
            standing.down()
        except BaseException:
            request.node.stash[_FAILED] = True
            raise
        finally:
            try:
                if request.node.stash.get(_FAILED, False) and any(directory.iterdir()):
                    shutil.copytree(directory, artifacts_of(request.node), dirs_exist_ok=True)
            finally:
                shutil.rmtree(directory)
