# SPDX-License-Identifier: GPL-2.0-or-later
"""However a run ends, nothing of it is left: no process, and with the processes no namespace; no mount and no file. Names
for `ip netns exec`, which only root can make, are gone as well, or after SIGKILL with the next command.

Every host runs a program with a number in its command line that nothing else on the machine has."""

import itertools
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import gone, processes_with

COUNTER = itertools.count()

LAB = """[topology]
title = A lab that is about to end
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = port-restricted
[host alice]
behind = home
# A child in a session of its own is the one that usually survives.
run = sh -c 'setsid sleep {marker} & exec sleep {marker}'
[host hub]
on = internet
run = sleep {marker}
{ready}[expect]
alice.class = port-restricted
"""
# It stands until it is ended.
STANDS = "ready = exit\ntime-limit = 60s\n"


# Where pinlab writes without being told to.
NETNS, STATE = Path("/run/netns"), Path("/run/pinlab")


class Ending:
    """A run in a directory of its own, and what is left when it has ended."""

    def __init__(self, pinlab, tmp_path, number, ready=""):
        self.marker = f"8{os.getpid():07}{next(COUNTER):04}"
        self.places = {name: tmp_path / name for name in ("tmp", "captures", "run")}
        for place in self.places.values():
            place.mkdir()
        self.topology = tmp_path / f"ending-{self.marker}.ini"
        self.topology.write_text(LAB.format(marker=self.marker, ready=ready))
        self.pinlab = pinlab
        names = ["--names"] if os.geteuid() == 0 else []
        self.process = pinlab.start(
            "run", *names, self.topology, "--pcap", self.places["captures"], "--seed", number,
            env={"TMPDIR": str(self.places["tmp"]), "XDG_RUNTIME_DIR": str(self.places["run"])},
        )

    def wait(self, seconds):
        """Whether it ended by itself within this time."""
        try:
            self.process.wait(timeout=seconds)
            return True
        except subprocess.TimeoutExpired:
            return False

    def named(self):
        """Its names, and the state that is kept of them."""
        lab = self.topology.stem
        return sorted([*NETNS.glob(f"{lab}.*"), *STATE.glob(f"*/{lab}.*")])

    def sweep(self):
        """The next command removes what the killed one could not, once its processes are gone."""
        if not self.named():
            return
        assert not gone(self.marker)
        self.pinlab.run("run", "open").expect(0)

    def end(self, number):
        self.process.send_signal(number)
        output = self.process.communicate(timeout=20)
        return self.process.returncode, "".join(output)

    def left(self):
        left = [f"process {pid}: {line}" for pid, line in gone(self.marker).items()]
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
        left += [f"mount: {line}" for line in mounts.splitlines() if str(self.topology.parent) in line]
        left += [f"file: {path}" for name in ("tmp", "run") for path in self.places[name].rglob("*")]
        left += [f"name: {path}" for path in self.named()]
        left += [f"hidden: {path}" for path in self.places["captures"].glob(".*")]
        return left

    def captures(self):
        return sorted(self.places["captures"].iterdir())


@pytest.fixture(scope="session")
def whole_seconds(pinlab, tmp_path_factory):
    """How long such a run takes when it is left alone."""
    start = time.monotonic()
    ending = Ending(pinlab, tmp_path_factory.mktemp("whole"), 0)
    output = ending.process.communicate(timeout=60)
    assert ending.process.returncode == 0, "".join(output)
    assert ending.left() == []
    return time.monotonic() - start


@pytest.mark.parametrize("number", range(1, 31))
def test_sigkill_at_any_moment_leaves_nothing(pinlab, tmp_path, whole_seconds, number):
    moment = random.Random(number).uniform(0, whole_seconds)
    ending = Ending(pinlab, tmp_path, number)
    if not ending.wait(moment):
        status, output = ending.end(signal.SIGKILL)
        assert status in (-signal.SIGKILL, 0), output  # it may have ended meanwhile
        ending.sweep()
    assert ending.left() == []
    for capture in ending.captures():
        subprocess.run(["tshark", "-r", str(capture)], check=True, stdout=subprocess.DEVNULL, timeout=60)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("number", range(1, 16))
def test_a_signal_at_any_moment_leaves_nothing_and_is_told(pinlab, tmp_path, whole_seconds, name, number):
    moment = random.Random(number).uniform(0, whole_seconds)
    ending = Ending(pinlab, tmp_path, number)
    if not ending.wait(moment):
        status, output = ending.end(signal.Signals[name])
        # Its last instructions may be past the handler, or before it.
        assert status in (128 + signal.Signals[name], -signal.Signals[name], 0), output
        if status < 0:
            ending.sweep()
    assert ending.left() == []


def test_a_signal_in_the_middle_gives_128_and_its_number(pinlab, tmp_path):
    ending = Ending(pinlab, tmp_path, 99, STANDS)
    while not processes_with(f"sleep\0{ending.marker}"):
        assert ending.process.poll() is None, ending.process.communicate()
    status, output = ending.end(signal.SIGINT)
    assert status == 128 + signal.SIGINT, output
    assert ending.left() == []
    assert ending.captures() == []


def test_the_whole_matrix_killed_leaves_nothing(pinlab, tmp_path):
    ending = Ending(pinlab, tmp_path, 7, STANDS)
    ending.process.kill()
    ending.process.communicate()
    process = pinlab.start("matrix", ending.topology, "--repeat", "20", "--jobs", "8", "--pcap", ending.places["captures"],
                           env={"TMPDIR": str(ending.places["tmp"])})
    while not processes_with(f"sleep\0{ending.marker}"):
        assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate(timeout=20)
    ending.sweep()
    assert ending.left() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make names")
def test_what_is_looked_for_is_there_while_the_lab_stands(pinlab, tmp_path):
    """The test of the tests: this is what the others would find."""
    ending = Ending(pinlab, tmp_path, 5, STANDS)
    while not processes_with(f"sleep\0{ending.marker}"):
        assert ending.process.poll() is None, ending.process.communicate()
    assert len(ending.named()) == 6, ending.named()
    status, output = ending.end(signal.SIGTERM)
    assert status == 128 + signal.SIGTERM, output
    assert ending.left() == []
