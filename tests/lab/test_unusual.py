# SPDX-License-Identifier: GPL-2.0-or-later
"""Topologies that are not in the tree, written from docs/topology-format.md alone: what `pinhole classify` says of each
host is what the lab certified, and what is known of ports, pools and hairpins is so, too."""

import json

import pytest

from conftest import axes, claim

HUB = """
[host hub]
on = internet
addresses = 203.0.113.10, 203.0.113.11
run = {pinhole} hub
ready = line ready
"""

# Two classifications, a line each.
TWICE = """run = sh -c 'for i in 1 2; do {pinhole} classify --server 203.0.113.10 --json | tr -d "\\n"; echo; done'
ready = exit
time-limit = 40s"""

CLASSIFY = """run = {pinhole} classify --server 203.0.113.10 --json
ready = exit
time-limit = 40s"""

INTERNET = """[topology]
title = Something else
[network internet]
subnet = 203.0.113.0/24
"""


@pytest.fixture
def lab(pinlab, pinhole, write):
    """Runs a topology, with a hub on its internet and CLASSIFY for its hosts; returns the verdict's cell."""

    def run(text):
        parts = INTERNET + HUB + text.replace("CLASSIFY", CLASSIFY).replace("TWICE", TWICE)
        return pinlab.cell(write(parts.replace("{pinhole}", pinhole)), status=0)[0]

    return run


def assert_host(cell, host, nat_class, **words):
    """The host claims this class and these words; class, mapping and filtering are what was certified."""
    claimed, certified = claim(cell, host), axes(cell["hosts"][host], "certified")
    said = (claimed["class"], claimed["mapping"], claimed["filtering"])
    assert said == (cell["hosts"][host]["class"]["certified"], certified["mapping"], certified["filtering"]), claimed
    wanted = {"class": nat_class, **{axis.replace("_", "-"): word for axis, word in words.items()}}
    assert {axis: claimed[axis] for axis in wanted} == wanted, claimed
    return claimed


def assert_nat(cell, host, nat, *named):
    """What the host claims of the NAT's own axes is what was certified, and it knows those that are named."""
    claimed, certified = claim(cell, host), axes(cell["nats"][nat], "certified")
    for axis in ("port-allocation", "pooling", "hairpin"):
        if claimed[axis] == "unknown":
            assert axis not in named and claimed["why"][axis], claimed
        elif axis in certified:
            assert claimed[axis] == certified[axis], (axis, claimed, certified)
    assert set(named) <= set(certified)
    return claimed


def two_claims(cell, host):
    first, second = map(json.loads, cell["hosts"][host]["program"]["output"].splitlines())
    return first, second


def port_of(claimed):
    return int(claimed["external"].rpartition(":")[2])


def assert_same_block(cell, host):
    """What a host's second classification gets lies in the block that its first one named."""
    first, second = two_claims(cell, host)
    assert first["port-allocation"] == second["port-allocation"] == "block"
    for claimed in (first, second):
        assert first["block-first"] <= port_of(claimed) <= first["block-last"], (first, second)
        assert claimed["block-last"] - claimed["block-first"] < 4096


def test_a_firewall_within_a_home_makes_its_filter_stricter(lab):
    """Its NAT lets everybody in, the firewall behind it nobody who was not called: the way out is port-restricted."""
    cell = lab("""
[nat home]
outside = internet
inside = 192.168.1.0/24
mapping = endpoint-independent
filtering = endpoint-independent
port-allocation = random
[nat wall]
outside = home.inside
inside = 192.168.2.0/24
mapping = none
filtering = address-dependent
[host carol]
behind = home
CLASSIFY
[host alice]
behind = wall
CLASSIFY
""")
    assert_host(cell, "alice", "restricted", port_allocation="random")
    assert_host(cell, "carol", "full-cone", port_allocation="random")


def test_a_home_behind_a_carrier_with_blocks(lab):
    cell = lab("""
[network access]
subnet = 100.64.0.0/24
[nat cgn]
outside = internet
inside = access
address = 203.0.113.40
mapping = address-and-port-dependent
filtering = address-dependent
port-allocation = block
block-size = 512
[nat home]
outside = access
inside = 192.168.1.0/24
behaviour = full-cone
[host alice]
behind = home
CLASSIFY
[host bob]
on = access
CLASSIFY
[host carol]
on = access
TWICE
""")
    for host in ("alice", "bob"):
        claimed = assert_host(cell, host, "symmetric", port_allocation="block", pooling="paired")
        assert claimed["external"].startswith("203.0.113.40:")
    assert cell["nats"]["cgn"]["axes"]["port-allocation"]["certified"] == "block"
    assert_same_block(cell, "carol")


@pytest.mark.parametrize("mapping", ["endpoint-independent", "address-and-port-dependent"])
@pytest.mark.parametrize("pooling", ["paired", "arbitrary"])
def test_a_pool_of_addresses(lab, mapping, pooling):
    cell = lab(f"""
[nat provider]
outside = internet
inside = 10.20.0.0/16
addresses = 203.0.113.64-203.0.113.79
mapping = {mapping}
filtering = address-and-port-dependent
port-allocation = random
pooling = {pooling}
[host alice]
behind = provider
CLASSIFY
""")
    assert_host(cell, "alice", "port-restricted" if mapping.startswith("end") else "symmetric", pooling=pooling)
    assert_nat(cell, "alice", "provider", "pooling", "hairpin")


@pytest.mark.parametrize("hairpin", ["internal-source", "external-source"])
def test_a_full_cone_that_turns_packets_around(lab, hairpin):
    cell = lab(f"""
[nat home]
outside = internet
inside = 172.16.0.0/12
inside-address = 172.20.0.1
address = 203.0.113.99
behaviour = full-cone
port-allocation = random
port-range = 40000-65000
hairpin = {hairpin}
[host alice]
behind = home
CLASSIFY
""")
    claimed = assert_host(cell, "alice", "full-cone", hairpin=hairpin)
    assert_nat(cell, "alice", "home", "hairpin", "port-allocation")
    assert 40000 <= port_of(claimed) <= 65000


def test_random_ports_of_a_narrow_range_are_a_block(lab):
    cell = lab("""
[nat home]
outside = internet
inside = 192.168.7.0/24
mapping = address-dependent
filtering = endpoint-independent
port-allocation = random
port-range = 20000-21999
[host alice]
behind = home
CLASSIFY
[expect]
home.port-allocation = block
""")
    claimed = assert_host(cell, "alice", "symmetric", port_allocation="block")
    assert_nat(cell, "alice", "home", "port-allocation")
    assert claimed["block-first"] <= 21999 and claimed["block-last"] >= 20000


def test_a_sequence_is_predicted(lab):
    """While nobody else opens mappings, the next one, the second classification's first, has the predicted port."""
    cell = lab("""
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = symmetric
port-allocation = sequential
port-range = 30000-60000
[host alice]
behind = home
TWICE
""")
    certified = axes(cell["nats"]["home"], "certified")
    first, second = two_claims(cell, "alice")
    for claimed in (first, second):
        assert claimed["class"] == "symmetric"
        assert claimed["port-allocation"] == certified["port-allocation"] == "sequential"
        assert claimed["step"] == 1
    assert port_of(second) == first["predicted-port"], (first, second)


def test_a_host_on_several_networks_goes_out_by_the_nearest(lab):
    """dave has one leg in the office, behind its firewall, and one at home; the office is nearer to the internet."""
    cell = lab("""
[network office]
subnet = 198.51.100.0/24
[network street]
subnet = 100.80.0.0/24
[nat wall]
outside = internet
inside = office
behaviour = firewall
[nat street-nat]
outside = internet
inside = street
behaviour = symmetric
[nat home]
outside = street
inside = 192.168.1.0/24
behaviour = restricted
[host dave]
on = home.inside, office
CLASSIFY
[host alice]
behind = home
CLASSIFY
""")
    assert_host(cell, "dave", "firewall", mapping="none")
    assert_host(cell, "alice", "symmetric")


def test_two_networks_that_a_host_joins_have_one_way_out(lab):
    """erin routes between a back room and the network of the NAT; a host in the back room is behind both."""
    cell = lab("""
[network back]
subnet = 192.168.9.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
mapping = endpoint-independent
filtering = address-dependent
port-allocation = preserve
[host erin]
on = home.inside, back
routes = yes
[host alice]
on = back
CLASSIFY
""")
    assert_host(cell, "alice", "restricted", port_allocation="preserve")
    assert_nat(cell, "alice", "home", "port-allocation", "hairpin")


def test_three_nats_amount_to_the_strictest(lab):
    cell = lab("""
[nat carrier]
outside = internet
inside = 100.64.0.0/16
mapping = endpoint-independent
filtering = address-dependent
port-allocation = random
[nat building]
outside = carrier.inside
inside = 10.0.0.0/24
mapping = address-dependent
filtering = endpoint-independent
[nat flat]
outside = building.inside
inside = 192.168.1.0/24
behaviour = full-cone
[host alice]
behind = flat
CLASSIFY
""")
    assert_host(cell, "alice", "symmetric", mapping="address-dependent", filtering="address-dependent")


def test_a_forwarded_port_is_open_and_the_others_are_not(lab):
    """Nothing that is asked from fresh ports shows the forward: the class is that of all the other ports. stun tests
    the filter from the port after the one that it is told, and finds it open."""
    cell = lab("""
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = port-restricted
forward = udp 7001 -> bob:7001
[host bob]
behind = home
run = sh -c 'stun 203.0.113.10 -p 7000; exit 0'
ready = exit
time-limit = 40s
[host alice]
behind = home
CLASSIFY
[expect]
home.forwards = ok
""")
    assert_host(cell, "alice", "port-restricted", port_allocation="preserve")
    assert "Independent Filter" in cell["hosts"]["bob"]["program"]["output"]


def test_other_users_of_a_preserving_nat_take_ports(lab):
    """Two hosts ask at the same time; each keeps its ports, or gets others where they collide, and both are cones."""
    cell = lab("""
[nat home]
outside = internet
inside = 192.168.1.0/24
mapping = endpoint-independent
filtering = address-and-port-dependent
port-allocation = preserve
unsolicited = reject
[host alice]
behind = home
run = {pinhole} classify --server 203.0.113.10 --json
[host bob]
behind = home
CLASSIFY
[expect]
alice.exit = 0
""")
    assert_host(cell, "alice", "port-restricted", port_allocation="preserve")
    assert_host(cell, "bob", "port-restricted", port_allocation="preserve")
