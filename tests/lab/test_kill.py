# SPDX-License-Identifier: GPL-2.0-or-later
"""Whoever is killed, and whenever: the others go on, and find it again when it is back. Moments come from a seed."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from conftest import ENGINES, LIMIT_SECONDS, processes_with, select_for
from test_node import CONES, Mesh, Node, PUNCHED, WORLD

pytestmark = pytest.mark.usefixtures("our_pinlab")

RELAYED = WORLD.format(west="symmetric", east="symmetric")
WAIT_S = 40  # far more than anybody needs, for a machine that does much else


def program_of(key):
    """The process id of the pinhole that was given this file with a key."""
    end = time.monotonic() + WAIT_S
    while True:
        for pid in processes_with(str(key)):
            try:
                if Path(f"/proc/{pid}/comm").read_text() == "pinhole\n":
                    return pid
            except OSError:
                pass
        assert time.monotonic() < end, f"nobody runs with {key}"
        select_for(0.005)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory_kb(pid):
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1])


class Mortal(Node):
    """A node with a key of its own, which it has again after it was killed."""

    def __init__(self, mesh, name, *options, ready='"registered"'):
        self.mesh, self.name, self.options = mesh, name, options
        self.key = mesh.place / f"{name}.key"
        if not self.key.exists():
            mesh.lab.host(name).run([mesh.pinhole, "key", "new", self.key])
        self.fifo = mesh.place / name
        if not self.fifo.exists():
            os.mkfifo(self.fifo)
        self.begin(ready)

    def begin(self, ready='"registered"'):
        self.program = self.mesh.lab.host(self.name).popen(
            ["sh", "-c", 'exec "$@" 0<>"$0"', self.fifo, self.mesh.pinhole, "node", "--hub", self.mesh.hub_words,
             "--name", self.name, "--key", self.key, "--fast", *self.options], ready=ready)

    @property
    def pid(self):
        return program_of(self.key)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.program.wait()


class Hub:
    """The hub as one of those that can be killed."""

    def __init__(self, mesh):
        self.mesh, self.key = mesh, mesh.place / "hub.key"

    @property
    def pid(self):
        return program_of(self.key)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.mesh.hub.wait()

    def begin(self, ready=" key "):
        self.mesh.hub = self.mesh.lab.host("hub").popen([self.mesh.pinhole, "hub", "--key", self.key], ready=ready)


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def mesh(lab, pinhole, place):
    return Mesh(lab, pinhole, place)


def understood(sender, receiver, who, word):
    """Says it until it is heard: what is sent to one that is gone is lost, as datagrams are."""
    end = time.monotonic() + WAIT_S
    while not any(event.get("text") == word for event in receiver.events("data")):
        assert time.monotonic() < end, f"{sender.name} said:\n{sender.program.output}\n" \
                                       f"{receiver.name} said:\n{receiver.program.output}"
        sender.say(f"send {who} {word}")
        select_for(0.1)


def settled(node, peer, paths, health="healthy"):
    """Waits until the node's table has the peer so."""
    end = time.monotonic() + WAIT_S
    while True:
        found = [row for row in node.status()["peers"] if row["peer"] == peer]
        if len(found) == 1 and found[0]["path"] in paths and found[0]["health"] == health:
            return found[0]
        assert time.monotonic() < end, f"{found}\n{node.program.output}"
        select_for(0.1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("topology, paths", [(PUNCHED, {"punched"}), (RELAYED, {"relayed"})], ids=["punched", "relayed"])
def test_whoever_is_killed_at_any_moment_is_found_again(lab, mesh, paths, seed):
    chance = random.Random(seed)
    alice, bob, hub = Mortal(mesh, "alice"), Mortal(mesh, "bob", "--connect", "alice", ready=None), Hub(mesh)
    for round_ in range(4):
        victim = chance.choice([alice, bob, hub])
        # From before it is registered to when all has been found out.
        select_for(chance.choice([0.03, 0.3, 3]) * chance.random())
        victim.kill()
        select_for(chance.choice([0, 1.5]) * chance.random())
        victim.begin(ready=None)
        print(f"seed {seed}, round {round_}: {victim.key.stem}")
    for node, peer, other in ((bob, "alice", alice), (alice, "bob", bob)):
        understood(node, other, peer, f"from-{node.name}")
        settled(node, peer, paths)


@pytest.mark.parametrize("topology", [RELAYED], ids=["relayed"])
def test_a_relayed_pair_says_that_its_relay_is_gone_and_is_back_with_it(mesh):
    alice, bob, hub = Mortal(mesh, "alice"), Mortal(mesh, "bob", "--connect", "alice"), Hub(mesh)
    understood(bob, alice, "alice", "before")
    hub.kill()
    for node, peer in ((alice, "bob"), (bob, "alice")):
        suspect = node.await_event("health", peer=peer, health="suspect")
        assert suspect["reason"] and suspect["path"] == "relayed"
        assert node.await_event("hub-lost")["reason"] == "timeout"
        gone = node.await_event("peer-gone", peer=peer)
        assert gone["reason"] == "timeout" and gone["sentence"]
    hub.begin()
    understood(bob, alice, "alice", "after")
    understood(alice, bob, "bob", "and-back")
    for node, peer in ((alice, "bob"), (bob, "alice")):
        settled(node, peer, {"relayed"})


@pytest.mark.parametrize("topology", [PUNCHED], ids=["punched"])
def test_a_direct_pair_goes_on_while_its_hub_is_killed_again_and_again(mesh):
    alice, bob, hub = Mortal(mesh, "alice"), Mortal(mesh, "bob", "--connect", "alice"), Hub(mesh)
    for node, peer in ((alice, "bob"), (bob, "alice")):
        node.await_event("peer-path", peer=peer, path="punched")
    chance = random.Random(5)
    word = 0
    for _ in range(4):
        hub.kill()
        end = time.monotonic() + 2 * chance.random()
        while time.monotonic() < end:
            bob.say(f"send alice without-{word}")
            word += 1
            select_for(0.02)
        hub.begin(ready=None)
        select_for(chance.random())
    alice.await_event("data", text=f"without-{word - 1}")
    # Nothing was lost, and nobody has noticed but of the hub.
    assert [event["text"] for event in alice.events("data")] == [f"without-{number}" for number in range(word)]
    for node in (alice, bob):
        assert not node.events("peer-gone") and not node.events("health")
        assert node.events("peer-path")[-1]["path"] == "punched"


@pytest.mark.parametrize("topology", [PUNCHED], ids=["punched"])
def test_who_survives_keeps_no_sockets_of_those_who_did_not(mesh):
    alice, bob, hub = Mortal(mesh, "alice"), Mortal(mesh, "bob", "--connect", "alice"), Hub(mesh)

    def count():
        for node, peer in ((alice, "bob"), (bob, "alice")):
            node.await_event("classified")
            settled(node, peer, {"punched"})
        return {who: descriptors(who.pid) for who in (alice, bob, hub)}

    before = count()
    for number in range(6):
        victim = (alice, bob, hub)[number % 3]
        victim.kill()
        victim.begin(ready=None)
        understood(bob, alice, "alice", f"after-{number}")
    end = time.monotonic() + WAIT_S
    while (after := count()) != before:
        assert time.monotonic() < end, (list(before.values()), list(after.values()))
        select_for(0.1)


# Each process registers, finds nobody of this name, and goes with a goodbye; or is killed, and says none.
REGISTER = """
seq "$2" | xargs -P 4 -n 1 sh -c '
    "$0" ping --hub "$1" --name "$2-$3" nobody 2>/dev/null
    [ $? = 1 ] || echo strange >&2' "$0" "$1" "$3"
"""


@pytest.mark.parametrize("topology", [PUNCHED], ids=["punched"])
@pytest.mark.parametrize("engine", ["kernel"])
def test_hundreds_who_come_and_go_leave_nothing_at_the_hub(lab, mesh):
    lab.captures.stop()
    hub = Hub(mesh)

    def register(count, word):
        assert lab.host("hub").run(["sh", "-c", REGISTER, mesh.pinhole, mesh.hub_words, count, word],
                                   timeout=3 * LIMIT_SECONDS).stderr == ""  # each is three processes

    register(100, "first")
    before, held = descriptors(hub.pid), memory_kb(hub.pid)
    register(400, "others")
    assert descriptors(hub.pid) == before
    assert memory_kb(hub.pid) < held + 1024, (held, memory_kb(hub.pid))
    hub_says = Mortal(mesh, "alice")
    assert hub_says.events("registered")


FRIEND = RELAYED + "[host mary]\non = internet\n"


@pytest.mark.parametrize("topology", [FRIEND], ids=["friend"])
@pytest.mark.parametrize("seed", range(2))
def test_N7_a_peer_carries_a_pair_whose_hub_was_killed_until_it_is_killed_as_well(mesh, seed):
    chance = random.Random(seed)
    mary = Mortal(mesh, "mary", "--relay")
    alice = Mortal(mesh, "alice", "--connect", "mary")
    bob, hub = Mortal(mesh, "bob", "--connect", "mary", "--connect", "alice"), Hub(mesh)
    for node in (alice, bob):
        settled(node, "mary", {"direct", "punched"})
    of_mary, of_hub = mary.status()["key"], mesh.hub_words.split("@")[0]

    def carried_by(key, word):
        understood(bob, alice, "alice", f"bob-{word}")
        understood(alice, bob, "bob", f"alice-{word}")
        for node, peer in ((alice, "bob"), (bob, "alice")):
            end = time.monotonic() + WAIT_S
            while settled(node, peer, {"relayed"})["via"] != key:
                assert time.monotonic() < end, node.program.output
                select_for(0.1)

    carried_by(of_hub, "by-the-hub")
    hub.kill()
    carried_by(of_mary, "by-mary")
    assert not [event for node in (alice, bob) for event in node.events("peer-gone") if event["peer"] != "mary"]
    select_for(2 * chance.random())
    mary.kill()
    for node, peer in ((alice, "bob"), (bob, "alice")):
        assert node.await_event("peer-gone", peer=peer)["reason"] == "timeout"
    select_for(2 * chance.random())
    hub.begin(ready=None)
    carried_by(of_hub, "by-the-hub-again")
    mary.begin()
    for node in (alice, bob):
        settled(node, "mary", {"direct", "punched"})


@CONES
def test_what_was_for_a_killed_pipe_is_no_beginning_of_the_next_one(lab, mesh):
    """It waits with the same key: the session is back, the bytes that the other one had are not."""
    key = mesh.place / "alice.key"
    lab.host("alice").run([mesh.pinhole, "key", "new", key])

    def wait_with(copy):
        program = lab.host("alice").popen(
            ["sh", "-c", 'exec "$@" </dev/null >"$0"', mesh.place / copy, mesh.pinhole, "pipe", "--hub", mesh.hub_words,
             "--name", "alice", "--key", key])
        end = time.monotonic() + WAIT_S
        while mesh.run("hub", "ping", "--count", "1", "alice", check=False).returncode != 0:
            assert time.monotonic() < end and program.returncode is None, program.output
        return program

    def copied(copy):
        return (mesh.place / copy).read_bytes()

    first = wait_with("first")
    sender = lab.host("bob").popen(["sh", "-c", 'yes | "$@"', "sh", mesh.pinhole, "pipe", "--hub", mesh.hub_words, "alice"])
    end = time.monotonic() + WAIT_S
    while not copied("first"):
        assert time.monotonic() < end and sender.returncode is None, sender.output
        select_for(0.01)
    os.kill(program_of(key), signal.SIGKILL)
    first.wait()
    second = wait_with("second")
    assert sender.wait() == 1 and "pinhole: alice: no-pipe: " in sender.output, sender.output
    assert second.returncode is None and copied("second") == b""
    mesh.run("bob", "pipe", "alice", input="whole\n")
    assert second.wait() == 0 and copied("second") == b"whole\n"
