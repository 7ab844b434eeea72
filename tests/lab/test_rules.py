# SPDX-License-Identifier: GPL-2.0-or-later
"""NATs whose nftables rules are written by hand: those that are what their file says pass; each that is not, on one axis,
fails with what is true. The rules are the test's own, so the lab cannot agree with itself here."""

import pytest

LAB = """[topology]
title = Rules that somebody else wrote
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
rules = hand.nft
{label}
[host alice]
behind = home
[host bob]
behind = home
[host hub]
on = internet
"""

# A home router: ports preserved, and nobody gets in who was not addressed. Each test replaces parts of it.
PARTS = {
    "tables": "",
    "prerouting": "",
    "forward first": "",
    "forward established": "ct state established,related accept",
    "forward dnat": "",
    "forward rest": "iifname $OUTSIDE ct state new drop",
    "postrouting": "oifname $OUTSIDE snat to $WAN",
    "learn": "",
    "input inside": "iifname $INSIDE ip daddr $WAN_ALL udp dport 1-65535 drop",
    "input": "iifname $OUTSIDE ct state new drop",
}

RULES = """table ip hand {{
    {tables}
    chain c_pre {{
        type nat hook prerouting priority dstnat
        {prerouting}
    }}
    chain c_forward {{
        type filter hook forward priority filter
        {forward first}
        {forward established}
        {forward dnat}
        {forward rest}
    }}
    chain c_post {{
        type nat hook postrouting priority srcnat
        {postrouting}
    }}
    chain c_learn {{
        type filter hook postrouting priority srcnat + 10
        {learn}
    }}
    chain c_input {{
        type filter hook input priority filter
        {input inside}
        {input}
    }}
}}
"""

MAP = ("map rev {{ type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout {seconds}s; }}")


def full_cone(seconds=120):
    """Whoever sends to a mapped port finds its owner."""
    return {
        "tables": MAP.format(seconds=seconds),
        "prerouting": "iifname $OUTSIDE meta l4proto udp dnat ip to udp dport map @rev",
        "forward dnat": "ct status dnat accept",
        "learn": "oifname $OUTSIDE meta l4proto udp ct direction original update @rev "
                 "{ ct reply proto-dst : ct original ip saddr . ct original proto-src }",
    }


def hairpin():
    """What is sent to a mapped port from inside is turned around, and comes from outside as it seems."""
    return {
        **full_cone(),
        "prerouting": "ip daddr $WAN meta l4proto udp dnat ip to udp dport map @rev",
        "postrouting": "oifname $OUTSIDE snat to $WAN\n        ip saddr $LAN oifname $INSIDE ct status dnat snat to $WAN",
    }


RANDOM = {"postrouting": "oifname $OUTSIDE masquerade fully-random"}
REJECT = {"forward rest": "iifname $OUTSIDE meta l4proto udp ct state new reject",
          "input": "iifname $OUTSIDE meta l4proto udp ct state new reject"}
FORWARD = {"prerouting": "iifname $OUTSIDE ip daddr $WAN udp dport 5000 dnat to 192.168.1.2:5000",
           "forward dnat": "ct status dnat accept"}
FORWARD_ASTRAY = {**FORWARD, "prerouting": FORWARD["prerouting"].replace("1.2:5000", "1.2:5001")}

POOL = "addresses = 203.0.113.20, 203.0.113.21\n"
BY_PORT = {"postrouting": "oifname $OUTSIDE meta l4proto udp snat to jhash ip saddr . udp sport mod 2 seed 7 "
                          "map { 0 : 203.0.113.20, 1 : 203.0.113.21 }\n        oifname $OUTSIDE snat to $WAN"}

PORT_RESTRICTED = "behaviour = port-restricted\n"
FULL_CONE = "behaviour = full-cone\n"

RIGHT = [
    pytest.param(PORT_RESTRICTED, {}, id="port-restricted"),
    pytest.param(FULL_CONE, full_cone(), id="full-cone"),
    pytest.param("behaviour = symmetric\n", RANDOM, id="symmetric"),
    pytest.param(FULL_CONE + "hairpin = external-source", hairpin(), id="hairpin"),
    pytest.param(PORT_RESTRICTED + "unsolicited = reject", REJECT, id="reject"),
    pytest.param(PORT_RESTRICTED + "forward = udp 5000 -> alice:5000", FORWARD, id="forward"),
    pytest.param(FULL_CONE + "udp-timeout = 2s", full_cone(2), id="udp-timeout"),
    pytest.param(PORT_RESTRICTED + POOL + "pooling = arbitrary", BY_PORT, id="pooling"),
]

# The label, the rules, the axis on which they differ, what the file says there, and what is true.
WRONG = [
    (PORT_RESTRICTED, RANDOM, "mapping", "endpoint-independent", "address-and-port-dependent"),
    ("behaviour = symmetric\n", {}, "mapping", "address-and-port-dependent", "endpoint-independent"),
    (PORT_RESTRICTED, full_cone(), "filtering", "address-and-port-dependent", "endpoint-independent"),
    (FULL_CONE, {}, "filtering", "endpoint-independent", "address-and-port-dependent"),
    (PORT_RESTRICTED + "port-allocation = random", {}, "port-allocation", "random", "preserve"),
    (FULL_CONE + "hairpin = external-source", full_cone(), "hairpin", "external-source", "none"),
    (FULL_CONE, hairpin(), "hairpin", "none", "external-source"),
    (PORT_RESTRICTED, REJECT, "unsolicited", "drop", "reject"),
    (PORT_RESTRICTED + "unsolicited = reject", {}, "unsolicited", "reject", "drop"),
    (PORT_RESTRICTED, {"forward first": "meta l4proto udp drop"}, "udp", "yes", "blocked"),
    (PORT_RESTRICTED + "udp = blocked", {}, "udp", "blocked", "yes"),
    (PORT_RESTRICTED, {"forward first": "meta l4proto icmp drop"}, "icmp", "yes", "blocked"),
    (PORT_RESTRICTED + "icmp = blocked", {}, "icmp", "blocked", "yes"),
    # Every NAT passes TCP; no file can say that it does not.
    (PORT_RESTRICTED, {"forward first": "meta l4proto tcp drop"}, "tcp", "yes", "blocked"),
    (FULL_CONE + "udp-timeout = 2s", full_cone(60), "udp-timeout", "2s", "longer than 2.8s"),
    (PORT_RESTRICTED + "forward = udp 5000 -> alice:5000", {}, "forwards", "ok",
     "udp 203.0.113.2:5000 does not reach 192.168.1.2:5000"),
    (PORT_RESTRICTED + "forward = udp 5000 -> alice:5000", FORWARD_ASTRAY, "forwards", "ok",
     "udp 203.0.113.2:5000 does not reach 192.168.1.2:5000"),
    (PORT_RESTRICTED + POOL, BY_PORT, "pooling", "paired", "arbitrary"),
    (PORT_RESTRICTED + POOL + "pooling = arbitrary", {}, "pooling", "arbitrary", "paired"),
]


def hand_written(write, tmp_path, label, changes):
    (tmp_path / "hand.nft").write_text(RULES.format(**{**PARTS, **changes}))
    return write(LAB.format(label=label))


@pytest.mark.parametrize("label, changes", RIGHT)
def test_rules_that_do_what_the_file_says_pass(pinlab, write, tmp_path, label, changes):
    cell, _ = pinlab.cell(hand_written(write, tmp_path, label, changes), status=0)
    assert cell["verdict"] == "pass" and cell["reasons"] == []


@pytest.mark.parametrize("label, changes, axis, said, truth", WRONG,
                         ids=lambda value: value.replace(" ", "-") if isinstance(value, str) and "\n" not in value else "")
def test_rules_that_do_something_else_fail_and_the_truth_is_told(pinlab, write, tmp_path, label, changes, axis, said, truth):
    cell, _ = pinlab.cell(hand_written(write, tmp_path, label, changes), status=1)
    assert cell["verdict"] == "fail"
    told = f"setup: nat home is labelled {axis} = {said} but is {truth}"
    assert any(reason.startswith(told) for reason in cell["reasons"]), cell["reasons"]
