# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinhole pipe` as anybody would use it: much, lost packets, ends that go away, readers that are slow, several."""

import hashlib
import json
import os
import random
import signal
import time

import pytest

from conftest import ENGINES, select_for
from test_kill import memory_kb, program_of
from test_node import CONES, LOSSY, Mesh, PUNCHED, SYMMETRIC

pytestmark = pytest.mark.usefixtures("our_pinlab")

WAIT_S = 100  # for megabytes on a machine that does much else
LOSSY_HUB = PUNCHED + "[link hub]\nloss = 5%\n"


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
        # An answer may be lost, where packets are.
        assert ("unknown-peer" in done.stderr or "timeout" in done.stderr) and time.monotonic() < end, done.stderr


def data_of(seed, length):
    return random.Random(seed).randbytes(length)


def megabytes(mesh, *options):
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
    relayed = relayed_bytes(mesh)
    assert relayed > len(data) if options else relayed < len(data) / 2, relayed


def relayed_bytes(mesh):
    """As the hub counts them."""
    mesh.hub.send_signal(signal.SIGUSR1)
    return json.loads(mesh.hub.wait_for("relayed-bytes").output.splitlines()[-1])["station"]["relayed-bytes"]


@CONES
@pytest.mark.parametrize("engine", ENGINES)
def test_twenty_megabytes_arrive_as_they_were(mesh):
    megabytes(mesh)


@pytest.mark.topology(LOSSY_HUB)
def test_twenty_megabytes_arrive_by_a_relay_that_loses_some(mesh):
    megabytes(mesh, "--relay-only")


@CONES
@pytest.mark.parametrize("engine", ["kernel"])  # on the other one the NATs would have to be certified with the loss
def test_twenty_megabytes_arrive_by_a_path_that_loses_some(lab, mesh):
    lab.nat("west").run(["nft", LOSSY])
    megabytes(mesh)


# What takes twenty seconds; "$0/sent" has what was read of it.
SLOWLY = '< <(for i in $(seq %d); do head -c 5000 /dev/urandom || exit; sleep 0.01; done | tee "$0/sent")'


@pytest.fixture
def under_way(mesh):
    """alice gets what bob sends, slowly; both have --fast."""
    waiting = End(mesh, "alice", '"$@" >"$0/copy" </dev/null', "--name", "alice", "--fast")
    await_name(mesh, "alice")
    sending = End(mesh, "bob", f'"$@" alice {SLOWLY % 2000}', "--fast")
    waiting.await_size("copy", 20000)
    return waiting, sending


@CONES
@pytest.mark.parametrize("victim", ["waiting", "sending"])
@pytest.mark.parametrize("number, reason", [(signal.SIGKILL, "timeout"), (signal.SIGTERM, "goodbye")],
                         ids=["killed", "ended"])
def test_who_is_left_alone_in_the_middle_says_so_and_fails(under_way, victim, number, reason):
    waiting, sending = under_way
    dying, left = (waiting, sending) if victim == "waiting" else (sending, waiting)
    began = time.monotonic()
    os.kill(dying.pid, number)
    assert left.program.wait() == 1
    took = time.monotonic() - began
    name = "alice" if left is sending else public_key(dying)
    (line,) = [line for line in left.program.output.splitlines() if line.startswith("pinhole: ")]
    assert line.startswith(f"pinhole: {name}: {reason}: ") and line.endswith("."), line
    assert took < (30 if reason == "timeout" else 5), took
    copy, sent = (waiting.place / "copy").read_bytes(), (sending.place / "sent").read_bytes()
    assert 20000 <= len(copy) and sent.startswith(copy)


def public_key(end):
    """By which it is known that has no name."""
    return end.mesh.lab.host("hub").run([end.mesh.pinhole, "key", "show", end.key]).stdout.strip()


@CONES
def test_a_reader_that_goes_away_ends_both(mesh):
    waiting = End(mesh, "alice", '"$@" </dev/null | head -c 100000 >"$0/copy"; exit ${PIPESTATUS[0]}', "--name", "alice")
    await_name(mesh, "alice")
    sending = End(mesh, "bob", 'head -c 30000000 /dev/zero | "$@" alice')
    assert waiting.program.wait() == 1 and sending.program.wait() == 1
    assert waiting.program.output == "pinhole: cannot write to standard output: Broken pipe\n"
    assert sending.program.output.startswith("pinhole: alice: goodbye: ")
    assert (waiting.place / "copy").read_bytes() == bytes(100000)


@CONES
def test_a_reader_that_is_slow_is_waited_for_and_nothing_piles_up(mesh):
    length = 12_000_000
    waiting = End(mesh, "alice", 'mkfifo "$0/valve"; "$@" </dev/null | { read -r <"$0/valve"; cat >"$0/copy"; }', "--name",
                  "alice")
    await_name(mesh, "alice")
    before = memory_kb(waiting.pid)
    sending = End(mesh, "bob", f'head -c {length} /dev/zero | tee "$0/taken" | "$@" alice')
    sending.await_size("taken", 65536)
    sizes = []
    while len(sizes) < 10 or sizes[-1] != sizes[-10]:  # until it takes no more
        select_for(0.05)
        sizes.append((sending.place / "taken").stat().st_size)
    held = memory_kb(waiting.pid), memory_kb(sending.pid)
    # The windows of both sides, and of three pipes what these hold.
    assert sizes[-1] < 2_000_000, sizes
    assert held[0] < before + 4096 and held[1] < held[0] + 4096, (before, held)
    select_for(3)  # it is no mistake to read nothing for longer than an answer is waited for
    assert sending.program.returncode is None and waiting.program.returncode is None
    with open(waiting.place / "valve", "w", encoding="utf-8") as valve:
        valve.write("\n")
    assert sending.program.wait(WAIT_S) == 0 and waiting.program.wait(WAIT_S) == 0, sending.program.output
    assert (waiting.place / "copy").stat().st_size == length


@CONES
@pytest.mark.parametrize("engine", ENGINES)
def test_who_sends_nothing_gets_all_the_same(mesh):
    data = data_of(3, 300_000)
    (mesh.place / "data").write_bytes(data)
    waiting = End(mesh, "alice", f'"$@" >"$0/copy" <{mesh.place}/data', "--name", "alice")
    await_name(mesh, "alice")
    asking = End(mesh, "bob", '"$@" alice >"$0/copy" </dev/null')
    assert asking.program.wait() == 0 and waiting.program.wait() == 0
    assert (asking.place / "copy").read_bytes() == data and (waiting.place / "copy").read_bytes() == b""


@SYMMETRIC
def test_a_second_pipe_to_one_that_is_taken_is_refused_and_the_first_goes_on(mesh):
    waiting = End(mesh, "alice", '"$@" >"$0/copy" </dev/null', "--name", "alice")
    await_name(mesh, "alice")
    sending = End(mesh, "bob", f'"$@" alice {SLOWLY % 200}')
    waiting.await_size("copy", 20000)
    second = mesh.run("bob", "pipe", "alice", check=False, input="me too")
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr == "pinhole: alice: no-pipe: The peer is not waiting with a pinhole pipe.\n"
    # And two who wait at one host are two.
    other = End(mesh, "alice", '"$@" >"$0/copy" </dev/null', "--name", "alice-2")
    await_name(mesh, "alice-2")
    assert mesh.run("bob", "pipe", "alice-2", input="me too").stdout == ""
    assert other.program.wait() == 0 and (other.place / "copy").read_text() == "me too"
    assert sending.program.wait() == 0 and waiting.program.wait() == 0, sending.program.output
    assert (waiting.place / "copy").read_bytes() == (sending.place / "sent").read_bytes()
