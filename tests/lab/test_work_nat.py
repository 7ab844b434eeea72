# SPDX-License-Identifier: GPL-2.0-or-later
"""pinlab nat and output: what a NAT of a lab knows, what happens to it, and what programs put out."""

import sys

import pytest

from conftest import ENGINES, ROOT
from workbench import ALICE, standing

SEND = ("import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 5000)); "
        "s.sendto(b'x', ('203.0.113.2', 4000))")


ON_BOTH = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture(params=ENGINES)
def cone(pinlab, write, request):
    path = write(ALICE.format(behaviour="full-cone", run='sh -c "echo said; echo more >&2"', ready="exit"))
    with standing(pinlab, path, "--seed", "1", "--engine", request.param) as lab:
        lab.engine = request.param
        yield lab


def test_a_table_shows_what_a_nat_has(cone):
    cone.python("alice", SEND.replace("203.0.113.2", "203.0.113.3")).expect(0)
    (row,) = cone.table()
    assert row["inside"] == "192.168.7.2:5000" and row["remote"] == "203.0.113.3:4000"
    assert row["external"].startswith("203.0.113.2:") and row["from"] == "inside" and not row["replied"]
    shown = cone.nat("home", "table").expect(0).stdout.splitlines()
    assert shown[0].split() == ["proto", "inside", "external", "remote", "left", "state"]
    assert shown[1].split()[:5] == ["udp", row["inside"], row["external"], "->", row["remote"]]
    # A stranger comes in by the mapping: for conntrack an entry from outside; the model lists mappings.
    host, port = row["external"].split(":")
    cone.python("hub", "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 7777)); "
                f"s.sendto(b'x', ('{host}', {port}))").expect(0)
    if cone.engine == "fabric":
        assert [row["remote"] for row in cone.table()] == ["203.0.113.3:4000"]
        return
    (inward,) = [row for row in cone.table() if row["from"] == "outside"]
    assert inward == {**row, "remote": "203.0.113.3:7777", "from": "outside",
                      "expires_seconds": inward["expires_seconds"]}


@pytest.mark.parametrize("what", ["flush", "reboot"])
def test_mappings_are_forgotten(cone, what):
    cone.exec("alice", "ping", "-c", "1", "hub").expect(0)
    assert cone.table()
    cone.nat("home", what).expect(0)
    assert cone.table() == []
    cone.exec("alice", "ping", "-c", "1", "hub").expect(0)


def test_another_address_is_the_external_one(cone):
    cone.nat("home", "address", "203.0.113.77").expect(0)
    cone.exec("alice", "ping", "-c", "1", "hub").expect(0)
    assert {row["external"].split(":")[0] for row in cone.table()} == {"203.0.113.77"}


@pytest.mark.parametrize("words, text", [
    (["home", "explode"], "expected table, flush, reboot or address"),
    (["home", "flush", "now"], "expected table, flush, reboot or address"),
    (["home", "address"], "an address is missing"),
    (["home", "address", "192.0.2.1"], "no address of network internet"),
    (["home", "address", "nonsense"], "no address of network internet"),
    (["home", "address", "203.0.113.3"], "belongs to hub"),
    (["home", "address", "203.0.113.255"], "not its first or its last five"),
    (["alice", "flush"], "no NAT alice (there are: home)"),
])
def test_what_a_nat_cannot_is_said(cone, words, text):
    assert text in cone.nat(*words).expect(2).stderr


def test_a_nat_with_several_addresses_keeps_them(pinlab, write):
    behaviour = "full-cone\naddresses = 203.0.113.10, 203.0.113.11"
    with standing(pinlab, write(ALICE.format(behaviour=behaviour, run="true", ready="exit"))) as lab:
        assert "several addresses" in lab.nat("home", "address", "203.0.113.77").expect(2).stderr


@ON_BOTH
def test_an_address_is_taken_while_somebody_has_it(pinlab, engine):
    with standing(pinlab, ROOT / "topologies/two-homes.ini", "--seed", "1", "--engine", engine) as lab:
        lab.exec("alice", "ping", "-c", "1", "hub").expect(0)
        first = lab.nat("home-a", "table", "--json").json()["connections"][0]["external"].split(":")[0]
        assert "belongs to home-a" in lab.nat("home-b", "address", first).expect(2).stderr
        lab.nat("home-a", "address", "203.0.113.77").expect(0)
        assert "belongs to home-a" in lab.nat("home-b", "address", "203.0.113.77").expect(2).stderr
        lab.nat("home-b", "address", first).expect(0)
        assert "belongs to home-b" in lab.nat("home-a", "address", first).expect(2).stderr
        lab.exec("bob", "ping", "-c", "1", "hub").expect(0)
        lab.exec("alice", "ping", "-c", "1", "hub").expect(0)


def test_a_programs_output_can_be_seen(cone):
    assert cone.pinlab.run("output", cone.name, "alice").expect(0).stdout == "said\nmore\n"
    assert "runs nothing" in cone.pinlab.run("output", cone.name, "hub").expect(2).stderr


TWO_FIREWALLS = """
[topology]
title = A firewall behind a firewall
[network internet]
subnet = 203.0.113.0/24
[nat outer]
outside = internet
inside = 198.51.100.0/24
mapping = none
filtering = endpoint-independent
[nat inner]
outside = outer.inside
inside = 192.0.2.0/24
mapping = none
filtering = endpoint-independent
[host alice]
behind = inner
[host hub]
on = internet
"""

# From a port, to an endpoint.
DATAGRAM = ("import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', int(sys.argv[1]))); "
            "s.sendto(b'x', (sys.argv[2], int(sys.argv[3])))")


@ON_BOTH
def test_a_firewalls_table_says_where_a_flow_began(pinlab, write, engine):
    """Nothing is translated there, and alice is not in the outer one's own network."""
    alice, hub = "192.0.2.2", "203.0.113.3"
    with standing(pinlab, write(TWO_FIREWALLS), "--engine", engine) as lab:
        lab.exec("alice", sys.executable, "-c", DATAGRAM, "5000", hub, "4000").expect(0)
        lab.exec("hub", sys.executable, "-c", DATAGRAM, "7777", alice, "6000").expect(0)
        if engine == "kernel":  # a router's own
            lab.exec("outer", "ping", "-c", "1", hub).expect(0)
        for nat in ("outer", "inner"):
            rows = {row["remote"]: row for row in lab.table(nat) if row["protocol"] == "udp"}
            assert {remote: row["from"] for remote, row in rows.items()} == {
                f"{hub}:4000": "inside", f"{hub}:7777": "outside"}, nat
            ends = {f"{hub}:4000": f"{alice}:5000", f"{hub}:7777": f"{alice}:6000"}
            assert all(row["inside"] == row["external"] == ends[remote] for remote, row in rows.items())
        echoes = [row["from"] for row in lab.table("outer") if row["protocol"] == "icmp"]
        assert echoes == (["inside"] if engine == "kernel" else [])
