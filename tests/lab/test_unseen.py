# SPDX-License-Identifier: GPL-2.0-or-later
"""What an application sees of all this, which is nothing; and what the machine and other people's packets do: nothing, either."""

import pytest

from conftest import select_for
from test_node import Mesh, WORLD, talk
from test_pipes import End, await_name, data_of, relayed_bytes

pytestmark = pytest.mark.usefixtures("our_pinlab")

BYTES = 300_000
# West and east, and whether the hub has to carry.
HOMES = [("full-cone", "full-cone", False), ("port-restricted", "port-restricted", False),
         ("symmetric", "full-cone", False), ("symmetric", "symmetric", True)]


@pytest.fixture
def engine():
    return "kernel"


@pytest.fixture
def mesh(lab, pinhole, place):
    return Mesh(lab, pinhole, place)


@pytest.mark.parametrize("topology, carried", [(WORLD.format(west=west, east=east), carried) for west, east, carried in HOMES],
                         ids=["-".join(home[:2]) for home in HOMES])
def test_N31_the_same_program_sees_the_same_whatever_is_between(mesh, carried):
    """Both say all they have, and then hear all that the other has, for as long as it takes to get direct."""
    here, there = data_of(31, BYTES), data_of(32, BYTES)
    (mesh.place / "here").write_bytes(here)
    (mesh.place / "there").write_bytes(there)
    slowly = '<(for i in $(seq 0 99); do dd if=%s bs=3000 skip=$i count=1 status=none; sleep 0.03; done) >"$0/copy"'
    alice = End(mesh, "alice", '"$@" < ' + slowly % (mesh.place / "here"), "--name", "alice")
    await_name(mesh, "alice")
    bob = End(mesh, "bob", '"$@" alice < ' + slowly % (mesh.place / "there"))
    assert bob.program.wait(60) == 0 and alice.program.wait(60) == 0, (alice.program.output, bob.program.output)
    assert (alice.place / "copy").read_bytes() == there and (bob.place / "copy").read_bytes() == here
    assert alice.program.output == bob.program.output == ""
    relayed = relayed_bytes(mesh)
    assert relayed > 2 * BYTES if carried else relayed < BYTES, relayed  # or nothing would be shown here


NETWORK = "ip -o link; ip -o address; ip route; ip -6 route; ip rule; ls /dev/net"
SEND = """import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for payload in sys.argv[3:]:
    s.sendto(bytes.fromhex(payload), (sys.argv[1], int(sys.argv[2])))
"""
INNER = b"an inner packet that nobody carries"
# IPv4 to bob in a datagram, a VXLAN frame around the same, the beginning of a WireGuard handshake, a question of DNS.
IPV4 = bytes.fromhex("4500003f00004000401100000a000001c0a80202" + "1388138800270000") + INNER
FOREIGN = [IPV4, bytes.fromhex("0800000000002a00" + "020000000001" + "020000000002" + "0800") + IPV4,
           b"\1\0\0\0" + INNER.ljust(144, b"w"), bytes.fromhex("002a01000001000000000000") + INNER]


@pytest.mark.topology(WORLD.format(west="full-cone", east="full-cone"))
def test_N32_it_is_no_vpn_and_carries_nothing_but_its_own(lab, mesh):
    hosts = ("alice", "bob", "hub")
    before = [lab.host(host).run(["sh", "-c", NETWORK], check=False).stdout for host in hosts]
    alice, bob = mesh.pair()
    talk(bob, alice, "alice", "before")
    assert [lab.host(host).run(["sh", "-c", NETWORK], check=False).stdout for host in hosts] == before
    address, port = alice.await_event("registered")["address"].split(":")
    foreign = alice.status()["counters"]["foreign"]
    for to in ((address, port), ("203.0.113.10", "3478")):
        lab.host("hub").run(["/usr/bin/python3", "-c", SEND, *to, *(payload.hex() for payload in FOREIGN)])
    for _ in range(1000):
        if (counted := alice.status()["counters"]["foreign"] - foreign) >= len(FOREIGN):
            break
        select_for(0.02)
    assert counted == len(FOREIGN)
    talk(alice, bob, "bob", "afterwards")
    found = lab.captures.packets(f'udp.payload contains "{INNER.decode()}"', ["frame.interface_name"])
    where = {name for (name,) in found}
    assert "west.inside" in where and not where & {"east.inside", "east.outside"}, where
