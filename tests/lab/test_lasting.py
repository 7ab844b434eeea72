# SPDX-License-Identifier: GPL-2.0-or-later
"""What nodes have found lasts: through NATs that forget soon, routers that forget all, networks that change under them,
and paths that become black holes."""

import hashlib
import time

import pytest

from conftest import ENGINES, select_for
from test_node import MOVE, CONES, Mesh, Node, WORLD, talk
from test_pipes import await_name

pytestmark = pytest.mark.usefixtures("our_pinlab")

WAIT_S = 40  # far more than anybody needs, for a machine that does much else
# A new mapping has another port.
DRAWN = "port-restricted\nport-allocation = random"
THREE = WORLD.format(west=DRAWN, east="port-restricted") + """
[nat north]
outside = internet
inside = 192.168.3.0/24
behaviour = port-restricted
address = 203.0.113.4
[host carol]
behind = north
"""


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def mesh(lab, pinhole, place):
    return Mesh(lab, pinhole, place)


def until(claim, *nodes):
    """Waits until it is so."""
    end = time.monotonic() + WAIT_S
    while not claim():
        assert time.monotonic() < end, "\n".join(node.program.output for node in nodes)
        select_for(0.05)


def path_to(node, peer):
    """Of the node's table: (path, health, address)."""
    rows = [(row["path"], row["health"], row["address"]) for row in node.status()["peers"] if row["peer"] == peer]
    return rows[0] if rows else ("none", None, None)


def attempted(node):
    return node.status()["counters"]["punches-attempted"]


def mappings(lab, nat):
    """Between the two nodes."""
    return {(row["inside"], row["external"], row["remote"]) for row in lab.nat(nat).table()
            if row["remote"].startswith(("203.0.113.2:", "203.0.113.3:"))}


@CONES
@pytest.mark.parametrize("engine", ["kernel"])  # where it need not be certified first, which takes as long again
def test_G14_heartbeats_hold_a_mapping_of_ten_seconds(lab, mesh):
    """Five minutes of it, and more, are in unit/test_node_faults."""
    for nat in ("west", "east"):
        lab.nat(nat).run(["sysctl", "-w", "net.netfilter.nf_conntrack_udp_timeout=10",
                          "net.netfilter.nf_conntrack_udp_timeout_stream=10"])
    alice, bob = mesh.pair()
    for node, peer in ((alice, "bob"), (bob, "alice")):
        node.await_event("peer-path", peer=peer, path="punched")
    talk(alice, bob, "bob", "the-last-for-a-while")
    for node, peer in ((alice, "bob"), (bob, "alice")):
        node.await_event("classified")
        until(lambda: path_to(node, peer)[:2] == ("punched", "healthy"), node)
    before = {nat: mappings(lab, nat) for nat in ("west", "east")}
    told = {node: (attempted(node), len(node.events("peer-path"))) for node in (alice, bob)}
    select_for(26)  # nothing is said: what is under test
    for number in range(10):
        alice.say(f"send bob still-there-{number}")
        bob.say(f"send alice here-as-well-{number}")
    for number in range(10):  # the first as the others
        bob.await_event("data", text=f"still-there-{number}")
        alice.await_event("data", text=f"here-as-well-{number}")
    for node, peer in ((alice, "bob"), (bob, "alice")):
        assert path_to(node, peer)[:2] == ("punched", "healthy")
        assert (attempted(node), len(node.events("peer-path"))) == told[node], node.program.output
        assert not node.events("hub-lost")
    for nat, rows in before.items():
        held = rows & mappings(lab, nat)
        assert held, (nat, rows, lab.nat(nat).table())
        assert max(row["expires_seconds"] for row in lab.nat(nat).table()) <= 10


@pytest.mark.topology(THREE)
@pytest.mark.parametrize("engine", ["fabric"])  # nftables keeps the port, or makes the NAT symmetric
def test_G15_only_the_pairs_of_a_flushed_router_punch_again(lab, mesh):
    alice, bob, carol = Node(mesh, "alice", "--fast"), Node(mesh, "bob", "--fast"), Node(mesh, "carol", "--fast")
    bob.say("connect alice")
    carol.say("connect alice")
    carol.say("connect bob")
    pairs = [(alice, "bob"), (alice, "carol"), (bob, "alice"), (bob, "carol"), (carol, "alice"), (carol, "bob")]
    for node, peer in pairs:
        until(lambda: path_to(node, peer)[:2] == ("punched", "healthy"), node)
    before = {(node, peer): path_to(node, peer)[2] for node, peer in pairs}
    punches = attempted(bob), attempted(carol)
    lab.nat("west").flush()
    for node in (bob, carol):
        until(lambda: path_to(node, "alice")[2] not in (None, before[node, "alice"]), node)
    for node, peer in pairs:
        until(lambda: path_to(node, peer)[:2] == ("punched", "healthy"), node)
    assert path_to(bob, "carol")[2] == before[bob, "carol"] and path_to(carol, "bob")[2] == before[carol, "bob"]
    assert [event["path"] for event in bob.events("peer-path") if event["peer"] == "carol"].count("punched") == 1
    assert not [event for node, other in ((bob, "carol"), (carol, "bob")) for event in node.events("health")
                if event["peer"] == other]
    # Not more than one more with alice, if her new address was not enough by itself.
    assert attempted(bob) <= punches[0] + 2 and attempted(carol) <= punches[1] + 2
    for sender, receiver, who in ((alice, bob, "bob"), (bob, alice, "alice"), (carol, bob, "bob")):
        talk(sender, receiver, who, f"again-to-{who}-{sender.fifo.name}")


HOLE = "add table ip hole; add chain ip hole some { type filter hook forward priority 0; }; " \
       "add rule ip hole some ip saddr 203.0.113.3 drop; add rule ip hole some ip daddr 203.0.113.3 drop"


@CONES
@pytest.mark.parametrize("engine", ["kernel"])  # the other one has no nftables
def test_N22_N23_a_black_hole_is_left_for_the_relay_before_it_has_failed_and_healed(lab, mesh):
    alice, bob = mesh.pair("--fast")
    for node, peer in ((alice, "bob"), (bob, "alice")):
        node.await_event("peer-path", peer=peer, path="punched")
    lab.nat("west").run(["nft", HOLE])
    # Both by their own heartbeats.
    for node, peer in ((alice, "bob"), (bob, "alice")):
        suspect = node.await_event("health", peer=peer, health="suspect")
        fallen = node.await_event("peer-path", peer=peer, path="relayed", reason="direct-suspect")
        failed = [event for event in node.events("health") if event["health"] == "failed"]
        assert suspect["reason"] and all(fallen["time"] < event["time"] for event in failed)
        assert mesh.hub_words.startswith(fallen["via"])
    for number in range(10):  # nothing of what is said now is lost
        talk(bob, alice, "alice", f"around-{number}")
        talk(alice, bob, "bob", f"around-{number}")
    assert not alice.events("peer-gone") and not bob.events("peer-gone")
    lab.nat("west").run(["nft", "delete table ip hole"])
    for node, peer in ((alice, "bob"), (bob, "alice")):
        until(lambda: path_to(node, peer)[:2] == ("punched", "healthy"), node)
        assert node.status()["counters"]["downgrades"] >= 1
    talk(bob, alice, "alice", "straight-again")
    assert not alice.events("peer-gone") and not bob.events("peer-gone")


FEED = """import hashlib, sys, time
block = bytes(range(256)) * 8
for number in range(int(sys.argv[1])):
    sys.stdout.buffer.write(number.to_bytes(8, "big") + block)
    sys.stdout.buffer.flush()
    time.sleep(0.02)
"""
FED = 250  # blocks: five seconds


def fed():
    return b"".join(number.to_bytes(8, "big") + bytes(range(256)) * 8 for number in range(FED))


class Transfer:
    """alice's pipe, to which bob's feeds what takes some seconds."""

    def __init__(self, mesh):
        self.mesh, self.copy = mesh, mesh.place / "copy"
        (mesh.place / "feed.py").write_text(FEED)
        self.waiting = mesh.lab.host("alice").popen(
            ["sh", "-c", 'exec "$@" >"$0" </dev/null', self.copy, mesh.pinhole, "pipe", "--hub", mesh.hub_words, "--name",
             "alice", "--fast"])
        command = '/usr/bin/python3 "$0" %d | "$@" alice' % FED
        await_name(mesh, "alice")
        self.feeding = mesh.lab.host("bob").popen(
            ["sh", "-c", command, mesh.place / "feed.py", mesh.pinhole, "pipe", "--hub", mesh.hub_words, "--fast"])

    def size(self):
        return self.copy.stat().st_size if self.copy.exists() else 0

    def await_part(self, part):
        end = time.monotonic() + WAIT_S
        while self.size() < part * len(fed()):
            assert time.monotonic() < end and self.feeding.returncode is None, self.feeding.output
            select_for(0.01)

    def finish(self):
        assert self.feeding.wait() == 0, self.feeding.output
        assert self.waiting.wait() == 0, self.waiting.output
        got = self.copy.read_bytes()
        assert (len(got), hashlib.sha256(got).digest()) == (len(fed()), hashlib.sha256(fed()).digest())
        assert self.feeding.output == ""


@CONES
def test_a_pipe_goes_on_when_the_address_of_its_nat_changes(lab, mesh):
    transfer = Transfer(mesh)
    transfer.await_part(0.2)
    lab.nat("west").address("203.0.113.77")
    transfer.await_part(0.5)
    lab.nat("east").address("203.0.113.78")
    transfer.finish()
    sources = {source for (source,) in lab.captures.packets(
        'udp.length > 1000 && frame.interface_name == "west.outside"', ["ip.src"])}
    assert "203.0.113.78" in sources  # straight from the new address, once more


@CONES
@pytest.mark.parametrize("engine", ["kernel"])  # the other one knows no more addresses than the file
def test_a_pipe_goes_on_when_the_address_of_its_host_changes(lab, mesh):
    transfer = Transfer(mesh)
    transfer.await_part(0.3)
    lab.host("bob").run(["sh", "-c", MOVE.format(address="192.168.2.77")])
    transfer.finish()
    inside = lab.captures.packets('udp.length > 1000 && frame.interface_name == "east.inside"', ["ip.src"])
    assert ("192.168.2.77",) in inside


@CONES
def test_a_pipe_goes_on_when_its_router_is_rebooted(lab, mesh):
    transfer = Transfer(mesh)
    transfer.await_part(0.3)
    lab.nat("east").reboot()
    transfer.await_part(0.6)
    lab.nat("west").reboot()
    transfer.finish()
