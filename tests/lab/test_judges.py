# SPDX-License-Identifier: GPL-2.0-or-later
"""Two judges that we did not write agree with ours: Debian's stun against its stund, and coturn's
turnutils_natdiscovery against coturn. They run as hosts of a lab; what they print is
compared with what the prober certified and with what the captures show. What they can express is in strangers.py."""

import pytest

from conftest import ENGINES
from strangers import AD, APD, CELLS, EI, client, coturn_says, server, stun_says

SEED = 1


def lab(judge, nat, address="192.168.1.2", inside="192.168.1.0/24", expect=""):
    return f"""
[topology]
title = A judge that we did not write

[network internet]
subnet = 203.0.113.0/24

[host server]
on = internet
addresses = 203.0.113.10, 203.0.113.11
run = {server(judge, "203.0.113.10", "203.0.113.11")}
ready = udp 3479

[nat home]
outside = internet
inside = {inside}
{nat}

[host alice]
behind = home
addresses = {address}
run = {client(judge, address)}
ready = exit
time-limit = 60s

[expect]
{expect}
"""


@pytest.fixture(params=ENGINES)
def pinlab(pinlab, request):
    return pinlab.on(request.param)


def run(pinlab, write, judge, nat, **options):
    cell, _ = pinlab.cell(write(lab(judge, nat, **options)), "--seed", SEED, status=0)
    return cell["hosts"]["alice"]["program"]["output"], cell


def ours(cell, axis, subject=("hosts", "alice")):
    """What the prober and the captures said; both have to be there, and agree."""
    node = cell[subject[0]][subject[1]]
    judges = node[axis] if axis == "class" else node["axes"][axis]
    assert judges["certified"] == judges["observed"], (axis, judges)
    return judges["observed"]


@pytest.mark.parametrize("mapping, filtering", CELLS)
def test_stun_agrees_on_the_nine_cells(pinlab, write, mapping, filtering):
    nat = f"mapping = {mapping}\nfiltering = {filtering}\nport-allocation = random"
    output, cell = run(pinlab, write, "stun", nat)
    says = stun_says(output)
    if mapping == EI:
        assert says["mapping"] == ours(cell, "mapping") == mapping
        assert says["filtering"] == ours(cell, "filtering") == filtering
    else:
        assert says["mapping"] == "dependent" and ours(cell, "mapping") == mapping
    assert says["preserves"] is False


@pytest.mark.parametrize("mapping, filtering", CELLS)
def test_coturn_agrees_on_the_nine_cells(pinlab, write, mapping, filtering):
    nat = f"mapping = {mapping}\nfiltering = {filtering}\nport-allocation = random"
    output, cell = run(pinlab, write, "coturn", nat)
    says = coturn_says(output)
    assert says["mapping"] == ours(cell, "mapping") == mapping
    assert says["filtering"] == ours(cell, "filtering") == filtering


@pytest.mark.parametrize("filtering", [EI, AD, APD])
def test_stun_agrees_on_port_preservation(pinlab, write, filtering):
    nat = f"mapping = {EI}\nfiltering = {filtering}\nport-allocation = preserve"
    output, cell = run(pinlab, write, "stun", nat)
    assert stun_says(output)["preserves"] is True
    assert ours(cell, "port-allocation", ("nats", "home")) == "preserve"


@pytest.mark.parametrize("hairpin", ["none", "internal-source", "external-source"])
def test_stun_agrees_on_hairpin(pinlab, write, hairpin):
    """stun takes any answer for hairpin, whatever its source."""
    nat = f"mapping = {EI}\nfiltering = {EI}\nport-allocation = random\nhairpin = {hairpin}"
    output, cell = run(pinlab, write, "stun", nat)
    assert ours(cell, "hairpin", ("nats", "home")) == hairpin
    assert stun_says(output)["hairpin"] is (hairpin != "none")


def test_stun_agrees_on_an_open_host(pinlab, write):
    nat = f"mapping = none\nfiltering = {EI}"
    output, cell = run(pinlab, write, "stun", nat, address="198.51.100.2", inside="198.51.100.0/24")
    assert stun_says(output)["class"] == ours(cell, "class") == "direct"


def test_stun_agrees_on_a_firewall(pinlab, write):
    nat = f"mapping = none\nfiltering = {APD}"
    output, cell = run(pinlab, write, "stun", nat, address="198.51.100.2", inside="198.51.100.0/24")
    assert stun_says(output)["class"] == ours(cell, "class") == "firewall"


@pytest.mark.parametrize("filtering", [EI, AD, APD])
def test_coturn_agrees_on_firewalls(pinlab, write, filtering):
    nat = f"mapping = none\nfiltering = {filtering}"
    output, cell = run(pinlab, write, "coturn", nat, address="198.51.100.2", inside="198.51.100.0/24")
    says = coturn_says(output)
    assert says["mapping"] == ours(cell, "mapping") == "none"
    assert says["filtering"] == ours(cell, "filtering") == filtering


def test_stun_agrees_on_blocked_udp(pinlab, write):
    output, cell = run(pinlab, write, "stun", "behaviour = port-restricted\nudp = blocked")
    assert stun_says(output)["class"] == ours(cell, "class") == "udp-blocked"


@pytest.mark.parametrize("judge", ["stun", "coturn"])
def test_a_judge_that_was_promised_another_nat_fails_the_cell(pinlab, write, judge):
    """The test of the tests: what a judge prints decides."""
    words = {"stun": "Address Dependent Filter", "coturn": "NAT with Address Dependent Filtering"}[judge]
    nat = "behaviour = port-restricted"
    cell, result = pinlab.cell(write(lab(judge, nat, expect=f"alice.output = {words}")), "--seed", SEED, status=1)
    assert cell["verdict"] == "fail" and words in result.text
