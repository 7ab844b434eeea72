# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinhole pipe` as anybody would use it: much, lost packets, ends that go away, readers that are slow, several."""

import hashlib
import os
import random
import signal
import time

import pytest

from conftest import ENGINES, select_for
from test_kill import memory_kb, program_of
from test_node import CONES, Mesh, PUNCHED, SYMMETRIC, WORLD

pytestmark = pytest.mark.usefixtures("our_pinlab")

WAIT_S = 100  # for megabytes on a machine that does much else
LOSSY = "".join(f"[link {name}]\nloss = 5%\n" for name in ("west.outside", "east.outside"))


@pytest.fixture
def engine():
    return "fabric"


@pytest.fixture
def mesh(lab, pinhole, place):
    lab.captures.stop()  # nobody looks at megabytes
    return Mesh(lab, pinhole, place)


class End:
    """One end of a pipe, with a key by which its process is found."""

    def __init__(self, mesh, host, script, *words):
        """`script` runs "$@", the pipe; below "$0" there is room for files."""
        self.mesh, self.place = mesh, mesh.place / f"{host}-{len(mesh.lab.programs)}"
        self.place.mkdir()
        self.key = self.place / "own.key"
        mesh.lab.host(host).run([mesh.pinhole, "key", "new", self.key])
        self.program = mesh.lab.host(host).popen(
            ["bash", "-c", script, self.place, mesh.pinhole, "pipe", "--hub", mesh.hub_words, "--key", self.key, *words])

    @property
    def pid(self):
        return program_of(self.key)

    def await_size(self, name, least):
        path, end = self.place / name, time.monotonic() + WAIT_S
        while not path.exists() or path.stat().st_size < least:
            assert time.monotonic() < end and self.program.returncode is None, self.program.output
            select_for(0.01)


def await_name(mesh, name):
    """Until the hub knows it."""
    end = time.monotonic() + WAIT_S
    while True:
        done = mesh.run("hub", "ping", "--count", "1", name, check=False)
        if done.returncode == 0:
            return
        assert "unknown-peer" in done.stderr and time.monotonic() < end, done.stderr


def data_of(seed, length):
    return random.Random(seed).randbytes(length)


@pytest.mark.parametrize("topology, options", [
    (PUNCHED, []), (PUNCHED + LOSSY, []), (PUNCHED + LOSSY, ["--relay-only"])], ids=["punched", "lossy", "lossy-relayed"])
def test_twenty_megabytes_arrive_as_they_were(mesh, options):
    data = data_of(20, 20_000_000)
    waiting = End(mesh, "alice", '"$@" >"$0/copy" </dev/null', "--name", "alice", *options)
    await_name(mesh, "alice")
    (mesh.place / "data").write_bytes(data)
    sending = End(mesh, "bob", f'"$@" alice <{mesh.place}/data', *options)
    start = time.monotonic()
    assert sending.program.wait(WAIT_S) == 0 and waiting.program.wait(WAIT_S) == 0, sending.program.output
    print(f"{len(data) / (time.monotonic() - start) / 1e6:.1f} MB/s")
    assert hashlib.sha256((waiting.place / "copy").read_bytes()).digest() == hashlib.sha256(data).digest()
    assert sending.program.output == waiting.program.output == ""
