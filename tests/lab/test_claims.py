# SPDX-License-Identifier: GPL-2.0-or-later
"""What a file claims of a NAT is certified where it is so, and found out where it is not."""

import pytest

from conftest import axes

HOMES = """
[topology]
title = A NAT and what its file says of it
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
{nat}
[host alice]
behind = home
[host bob]
behind = home
[host hub]
on = internet
"""

# A port-preserving router, and what else the case wants of it.
RULES = """table ip home {{
    chain c_pre {{
        type nat hook prerouting priority dstnat
        {pre}
    }}
    chain c_post {{
        type nat hook postrouting priority srcnat
        oifname $OUTSIDE snat to $WAN
    }}
    chain c_forward {{
        type filter hook forward priority filter
        {forward}
        ct state established,related accept
        ct status dnat accept
        iifname $OUTSIDE ct state new drop
    }}
    chain c_input {{
        type filter hook input priority filter
        iifname $OUTSIDE ct state new drop
    }}
}}
"""


@pytest.fixture
def claim(pinlab, write, tmp_path):
    """Runs the home with these keys; `pre` and `forward` are lines of rules of its own."""

    def run(nat, status, pre=None, forward=None):
        if pre is not None or forward is not None:
            (tmp_path / "home.nft").write_text(RULES.format(pre=pre or "", forward=forward or ""))
            nat += "\nrules = home.nft"
        return pinlab.cell(write(HOMES.format(nat=nat)), status=status)[0]

    return run


@pytest.mark.parametrize("nat", [
    "behaviour = port-restricted\nforward = tcp 80 -> alice:8080",
    "behaviour = symmetric\nudp = blocked\nforward = tcp 80 -> alice:8080",
    "behaviour = port-restricted\nforward = udp 80 -> alice:8080, tcp 81 -> bob:8080, udp 82 -> bob:8080",
    "behaviour = port-restricted\naddresses = 203.0.113.20-203.0.113.21\nforward = udp 80 -> alice:8080",
    "behaviour = full-cone\nforward = udp 80 -> alice:8080, udp 81 -> alice:8080",
], ids=["tcp", "tcp without udp", "two hosts", "two addresses", "two to one port"])
def test_forwards_of_every_kind_are_certified(claim, nat):
    assert axes(claim(nat, 0)["nats"]["home"], "certified")["forwards"] == "ok"


@pytest.mark.parametrize("protocol, missing", [("udp", "192.168.1.3:5001"), ("tcp", "192.168.1.3:5001")])
def test_a_forward_to_another_host_that_is_missing_is_found_out(claim, protocol, missing):
    cell = claim(f"behaviour = port-restricted\nforward = udp 5000 -> alice:5000, {protocol} 5001 -> bob:5001", 1,
                 pre="iifname $OUTSIDE udp dport 5000 dnat to 192.168.1.2:5000")
    assert axes(cell["nats"]["home"], "certified")["forwards"] == f"{protocol} 203.0.113.2:5001 does not reach {missing}"


def test_a_nat_that_drops_one_hosts_tcp_is_found_out(claim):
    cell = claim("behaviour = port-restricted", 1, forward="ip saddr 192.168.1.3 meta l4proto tcp drop")
    assert any("bob" in reason and "tcp" in reason for reason in cell["reasons"]), cell["reasons"]


def test_a_nat_that_drops_one_hosts_icmp_is_found_out(claim):
    cell = claim("behaviour = port-restricted", 1, forward="ip saddr 192.168.1.3 meta l4proto icmp drop")
    assert any("bob" in reason and "icmp" in reason for reason in cell["reasons"]), cell["reasons"]


def test_poison_shows_on_a_full_cone_that_preserves_ports(claim):
    home = claim("behaviour = full-cone\nunsolicited = accept", 0)["nats"]["home"]
    assert axes(home, "certified")["unsolicited"] == axes(home, "expected")["unsolicited"] == "accept"


@pytest.mark.parametrize("nat", [
    "behaviour = symmetric", "behaviour = symmetric\nunsolicited = accept",
    "behaviour = full-cone\nport-allocation = random",
])
def test_silence_certifies_nothing_where_poison_could_not_show(claim, nat):
    home = claim(nat, 0)["nats"]["home"]
    assert home["axes"]["unsolicited"]["expected"] is None
    assert home["axes"]["unsolicited"]["certified"] != "drop" != home["axes"]["unsolicited"]["observed"]


@pytest.mark.parametrize("behaviour", ["port-restricted", "full-cone"])
@pytest.mark.parametrize("ports", [8, 16, 64])
def test_the_ports_of_a_small_range_are_counted(claim, behaviour, ports):
    home = claim(f"behaviour = {behaviour}\nport-allocation = random\nport-range = 30000-{29999 + ports}", 0)["nats"]["home"]
    assert axes(home, "certified")["ports"] == str(ports)


@pytest.mark.parametrize("pooling, ports", [("paired", 16), ("arbitrary", 32)])
def test_each_of_several_addresses_has_the_whole_range(claim, pooling, ports):
    home = claim("behaviour = port-restricted\nport-allocation = random\nport-range = 30000-30015\n"
                 f"addresses = 203.0.113.20-203.0.113.21\npooling = {pooling}", 0)["nats"]["home"]
    assert axes(home, "certified")["ports"] == str(ports)


def test_the_range_that_is_certified_is_the_one_that_was_seen(claim):
    home = claim("behaviour = symmetric", 0)["nats"]["home"]
    assert axes(home, "certified")["port-range"] != "1024-65535"


@pytest.mark.parametrize("claimed, status", [("yes", 0), ("no", 1)])
def test_a_false_claim_of_inbound_refresh_is_found_out(claim, claimed, status):
    """Conntrack refreshes on packets of either direction, whatever the rules are."""
    cell = claim(f"behaviour = port-restricted\nudp-timeout = 2s\ninbound-refresh = {claimed}", status, pre="")
    home = cell["nats"]["home"]
    assert axes(home, "expected")["inbound-refresh"] == claimed
    assert axes(home, "certified")["inbound-refresh"] == "yes"
