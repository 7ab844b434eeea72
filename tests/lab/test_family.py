# SPDX-License-Identifier: GPL-2.0-or-later
"""Homes that have IPv4 by a NAT and IPv6 by a firewall, a hub that is reached by both, and real processes that are given
the hub's IPv4 address alone."""

import pytest

from conftest import ENGINES, select_for
from test_node import Mesh, talk

pytestmark = pytest.mark.usefixtures("our_pinlab")

HOME = """[nat {name}4]
outside = internet
inside = 192.168.{number}.0/24
behaviour = port-restricted
address = 203.0.113.{number}
[nat {name}6]
outside = internet6
inside = 2001:db8:{number}::/64
behaviour = firewall
[host {host}]
on = {name}4.inside, {name}6.inside
"""
# alice -- west4 -- internet --- east4 -- bob
#      \\           hub                    /
#       -- west6 -- internet6 -- east6 ---
DUAL = ("[topology]\ntitle = Two dual-stack homes and a hub\n[network internet]\nsubnet = 203.0.113.0/24\n"
        "[network internet6]\nsubnet = 2001:db8::/64\n" + HOME.format(name="west", number=2, host="alice") +
        HOME.format(name="east", number=3, host="bob") + "[host hub]\non = internet, internet6\n"
        "addresses = 203.0.113.10, 203.0.113.11, 2001:db8::10, 2001:db8::11\n")
pytestmark = [pytestmark, pytest.mark.topology(DUAL)]

# No IPv4 to the other one's NAT, whatever it is.
BLOCK = """table ip block {{
chain out {{ type filter hook output priority 0; ip daddr {address} drop; }}
}}
"""


class DualMesh(Mesh):
    """A hub that listens on all of its addresses, and is known by one of them."""

    def start_hub(self):
        self.hub_words = self.hub_words.replace("@hub", "@203.0.113.10")
        listen = [word for address in ("203.0.113.10", "203.0.113.11", "2001:db8::10", "2001:db8::11")
                  for word in ("--listen", address)]
        self.hub = self.lab.host("hub").popen(
            [self.pinhole, "hub", "--key", self.place / "hub.key", *listen], ready=" key ")


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def mesh(lab, pinhole, place):
    return DualMesh(lab, pinhole, place)


def by_ipv6(node, peer):
    event = node.await_event("peer-path", peer=peer, reason="other-family")
    assert event["path"] == "punched" and event["address"].startswith("[2001:db8:"), event


def test_two_homes_meet_by_ipv6_where_ipv4_is_blocked(lab, mesh):
    for host, address in (("alice", "203.0.113.3"), ("bob", "203.0.113.2")):
        lab.host(host).run(["nft", "-f", "-"], input=BLOCK.format(address=address))
    alice, bob = mesh.pair()
    by_ipv6(alice, "bob")
    by_ipv6(bob, "alice")
    words = [f"by-ipv6-{number}" for number in range(10)]
    for word in words:
        talk(bob, alice, "alice", word)
        talk(alice, bob, "bob", word)
    hub = bob.status()["hub"]
    assert hub["seen"].startswith("203.0.113.3:") and hub["beside"].startswith("[2001:db8:3::"), hub
    between = "udp && ipv6.addr == 2001:db8:2::/64 && ipv6.addr == 2001:db8:3::/64"
    seen = lab.captures.packets(f'{between} && frame.interface_name == "west6.outside"', ["ipv6.src"])
    assert len(seen) >= 2 * len(words)


@pytest.mark.parametrize("engine", ["kernel"])  # the other one knows no more addresses than the file
def test_who_loses_his_ipv6_goes_on_by_ipv4_and_comes_back(lab, mesh):
    alice, bob = mesh.pair()
    by_ipv6(alice, "bob")
    by_ipv6(bob, "alice")
    (device,) = {line.split()[1] for line in
                 lab.host("alice").run(["ip", "-6", "-o", "address", "show", "scope", "global"]).stdout.splitlines()}
    (address,) = [line.split()[3] for line in
                  lab.host("alice").run(["ip", "-6", "-o", "address", "show", "dev", device, "scope",
                                         "global"]).stdout.splitlines()]
    lab.host("alice").run(["ip", "-6", "address", "flush", "dev", device, "scope", "global"])
    for node, peer, outside in ((alice, "bob", "203.0.113.3:"), (bob, "alice", "203.0.113.2:")):
        event = node.await_event("peer-path", peer=peer, reason="punch")
        assert event["address"].startswith(outside), event
    talk(alice, bob, "bob", "by-ipv4")
    assert alice.status()["hub"]["beside"] is None
    lab.host("alice").run(["ip", "-6", "address", "add", address, "dev", device, "nodad"])
    lab.host("alice").run(["ip", "-6", "route", "replace", "default", "via", "2001:db8:2::1", "dev", device])
    while not alice.status()["hub"]["beside"]:
        select_for(0.1)
    assert not alice.events("hub-lost")


# By IPv4 there is only the relay: who sees the two meet has looked at IPv6.
STORY = (DUAL.replace("port-restricted", "symmetric").replace(", west6.inside", ", west6.inside\nrun = node --connect bob")
         .replace(", east6.inside", ", east6.inside\nrun = node") +
         "run = hub --listen 203.0.113.10 --listen 203.0.113.11 --listen 2001:db8::10 --listen 2001:db8::11\n")
IPV4_HUB = STORY.replace(" --listen 2001:db8::10 --listen 2001:db8::11", "")


@pytest.mark.parametrize("engine", ["virtual", *ENGINES])
@pytest.mark.parametrize("topology, expected, observed", [
    (STORY, "alice -> bob = punched", "punched"), (STORY, "", "punched"), (IPV4_HUB, "", "relayed(hub)"),
    (STORY, "alice -> bob = relayed", None),
], ids=["said", "unsaid", "no hub in IPv6", "wrong"])
def test_the_wire_shows_a_path_in_either_family(pinlab, tmp_path, engine, topology, expected, observed):
    path = tmp_path / "dual.ini"
    path.write_text(f"{topology}[expect]\n{expected}\n", encoding="utf-8")
    result = pinlab.run("run", path, "--engine", engine, "--seed", "1", "--json", "-").expect(0 if observed else 1)
    (found,) = result.json()["paths"]
    assert found["observed"] == found["claimed"] == (observed or "punched"), found
