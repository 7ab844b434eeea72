# SPDX-License-Identifier: GPL-2.0-or-later
"""IPv6 in labs: firewalls on every engine, programs of hosts, what a firewall's table has, and what is not in a
recording."""

import subprocess
import sys

import pytest

from conftest import ROOT, axes
from workbench import standing, tshark

ENGINES = ["kernel", "fabric", "virtual"]
WITH_PROGRAMS = ["kernel", "fabric"]

HOME = """
[topology]
title = A home with IPv6
[network internet]
subnet = 2001:db8::/64
[nat home]
outside = internet
inside = 2001:db8:a::/64
{behaviour}
[host alice]
behind = home
[host hub]
on = internet
addresses = 2001:db8::10, 2001:db8::11
{more}
"""

FIREWALL = "behaviour = firewall"

BEHAVIOURS = {
    "firewall": FIREWALL,
    "by-address": "mapping = none\nfiltering = address-dependent",
    "open": "mapping = none\nfiltering = endpoint-independent",
    "reject": FIREWALL + "\nunsolicited = reject",
    "no-icmp": FIREWALL + "\nicmp = blocked",
    "no-udp": FIREWALL + "\nudp = blocked",
    "forgetful": FIREWALL + "\nudp-timeout = 2s",
}

# A firewall behind a router behind a firewall, and a host that both see.
NESTED = """
[topology]
title = Two firewalls and a router
[network internet]
subnet = fd00:0:0:1::/64
[network dmz]
subnet = fd00:0:0:2::/64
[network back]
subnet = fd00::3:0/112
[nat outer]
outside = internet
inside = dmz
mapping = none
filtering = address-dependent
[nat inner]
outside = back
inside = fd00::4:0/120
behaviour = firewall
[host router]
on = dmz, back
routes = yes
[host alice]
behind = inner
run = classify
[host bob]
on = dmz
run = classify
[host hub]
on = internet
addresses = fd00:0:0:1::10, fd00:0:0:1::11
run = hub
[expect]
alice.class = firewall
bob.filtering = address-dependent
"""

# All that can happen to links and firewalls, before the last look at them.
BAD_DAY = """
[step 1]
at = 100ms
do = link alice down
[step 2]
at = 200ms
do = link alice up
[step 3]
at = 300ms
do = link home.outside down
[step 4]
at = 400ms
do = link home.outside up
[step 5]
at = 500ms
do = nat home reboot
"""

SEND = ("import socket, sys; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(('::', int(sys.argv[1]))); "
        "s.sendto(b'x', (sys.argv[2], int(sys.argv[3])))")

# Prints what ICMPv6 says of a datagram that is too long, and the length that it names.
TOO_LONG = """
import select, socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, 25, 1)  # IPV6_RECVERR
s.setsockopt(socket.IPPROTO_IPV6, 23, 2)  # IPV6_MTU_DISCOVER, DO
s.connect(("2001:db8::10", 4000))
s.send(bytes(1400))
select.select([], [], [s], 10)
_, control, _, _ = s.recvmsg(2000, 512, socket.MSG_ERRQUEUE)
error = control[0][2]
print("icmpv6", error[5], "mtu", int.from_bytes(error[8:12], "little"))
"""


def home(behaviour=FIREWALL, more=""):
    return HOME.format(behaviour=behaviour, more=more)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_firewall_is_what_its_file_says(pinlab, write, engine, behaviour):
    cell, _ = pinlab.cell(write(home(BEHAVIOURS[behaviour])), "--engine", engine, status=0)
    certified = axes(cell["nats"]["home"], "certified")
    assert certified["udp"] == ("blocked" if behaviour == "no-udp" else "yes")
    assert certified["icmp"] == ("blocked" if behaviour == "no-icmp" else "yes")
    if behaviour == "forgetful":
        assert certified["udp-timeout"] and certified["inbound-refresh"] == "yes"
    if behaviour == "reject":
        assert certified["unsolicited"] == "reject"


@pytest.mark.parametrize("engine", ENGINES)
def test_firewalls_and_routers_in_a_row(pinlab, write, engine):
    pinlab.cell(write(NESTED), "--engine", engine, status=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_links_and_firewalls_come_back(pinlab, write, engine):
    cell, _ = pinlab.cell(write(home(more=BAD_DAY)), "--engine", engine, status=0)
    assert cell["hosts"]["alice"]["class"]["observed"] == "firewall"


@pytest.fixture(params=WITH_PROGRAMS)
def lab(request, pinlab, write):
    with standing(pinlab, write(home()), "--engine", request.param, "--seed", "1") as lab:
        yield lab


def test_hosts_reach_each_other_by_name(lab):
    lab.exec("alice", "ping", "-6", "-c", "1", "-W", "5", "hub").expect(0)
    hub = lab.pinlab.start("exec", lab.name, "hub", "--", sys.executable, "-c",
                           "import socket; s = socket.create_server(('::', 80), family=socket.AF_INET6); "
                           "print('ready', flush=True); c, _ = s.accept(); c.sendall(b'hello')")
    assert hub.stdout.readline() == "ready\n"
    said = lab.python("alice", "import socket; print(socket.create_connection(('hub', 80)).recv(9))").expect(0)
    assert said.stdout == "b'hello'\n"
    assert hub.wait(10) == 0


def test_a_firewalls_table_has_flows_of_ipv6(lab):
    lab.exec("alice", sys.executable, "-c", SEND, "5000", "2001:db8::10", "4000").expect(0)
    lab.exec("hub", sys.executable, "-c", SEND, "4001", "2001:db8:a::2", "5000").expect(0)  # is filtered
    (row,) = [row for row in lab.table() if row["protocol"] == "udp"]
    assert row["inside"] == row["external"] == "[2001:db8:a::2]:5000"
    assert row["remote"] == "[2001:db8::10]:4000" and row["from"] == "inside" and not row["replied"]
    lab.exec("hub", sys.executable, "-c", SEND, "4000", "2001:db8:a::2", "5000").expect(0)
    (row,) = [row for row in lab.table() if row["protocol"] == "udp"]
    assert row["replied"]
    lab.exec("alice", "ping", "-6", "-c", "1", "-W", "5", "hub").expect(0)
    assert "icmp" in {row["protocol"] for row in lab.table()}
    lab.nat("home", "reboot").expect(0)
    assert lab.table() == []
    lab.exec("alice", "ping", "-6", "-c", "1", "-W", "5", "hub").expect(0)
    assert "translates nothing" in lab.nat("home", "address", "2001:db8::77").expect(2).stderr


@pytest.mark.parametrize("engine", WITH_PROGRAMS)
def test_a_packet_that_is_too_big_is_told(pinlab, write, engine):
    """RFC 6092 REC-18 begins with the firewall's own word: the way out is shorter than the one in (RFC 4443 §3.2)."""
    topology = home(more="[link home.outside]\nmtu = 1280\n[link hub]\nmtu = 1280")
    with standing(pinlab, write(topology), "--engine", engine) as lab:
        assert lab.python("alice", TOO_LONG).expect(0).stdout == "icmpv6 2 mtu 1280\n"


@pytest.mark.parametrize("engine", WITH_PROGRAMS)
def test_a_host_on_both_has_both(pinlab, engine):
    with standing(pinlab, ROOT / "topologies/dual-stack.ini", "--engine", engine) as lab:
        for host, family in (("hub", "-4"), ("hub6", "-6")):
            lab.exec("alice", "ping", family, "-c", "1", "-W", "5", host).expect(0)
        hosts = lab.exec("alice", "cat", "/etc/hosts").expect(0).stdout
        assert "2001:db8:a::2" in hosts and "192.168.1.2" in hosts


def test_a_fabric_has_no_neighbours_to_find(pinlab, write, tmp_path):
    """Nothing asks for neighbours, routers or groups, not even a host that routes."""
    path = write(NESTED)
    pinlab.run("run", path, "--engine", "fabric", "--pcap", tmp_path).expect(0)
    assert tshark(tmp_path / "case.pcapng", "-Y", "icmpv6.type >= 130 && icmpv6.type <= 143") == []
    assert tshark(tmp_path / "case.pcapng", "-Y", "ipv6")


def test_a_script_speaks_ipv6(pinlab, write):
    text = pinlab.run("script", write(home())).expect(0).stdout
    assert "address add 2001:db8:a::2/64 dev eth0 nodad" in text
    assert "route replace ::/0 via 2001:db8:a::1" in text
    assert "table ip6 pinlab" in text
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)
