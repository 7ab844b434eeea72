# SPDX-License-Identifier: GPL-2.0-or-later
"""Strangers and we agree. Behind each NAT a host asks, at the same time,

- `pinhole hub` with two clients that we did not write, Debian's stun (RFC 3489) and coturn's turnutils_natdiscovery
  (RFC 5780): they name the behaviour that was certified, and that `pinhole classify` names;
- two servers that we did not write, coturn and stund, with `pinhole classify`: it says of them what it says of our hub.

What one of them cannot say is unknown with its reason, and never something else."""

import json

import pytest

from conftest import ENGINES, axes
from strangers import AD, APD, CELLS, EI, client, coturn_says, server, stun_says

LAB = """[topology]
title = Strangers
[network internet]
subnet = 203.0.113.0/24
[host hub]
on = internet
addresses = 203.0.113.10, 203.0.113.11
run = {pinhole} hub
ready = line ready
[host coturn]
on = internet
addresses = 203.0.113.20, 203.0.113.21
run = {coturn}
ready = udp {coturn_port}
[host stund]
on = internet
addresses = 203.0.113.30, 203.0.113.31
run = {stund}
ready = udp 3479
[nat home]
outside = internet
inside = {inside}
{nat}
[host alice]
behind = home
addresses = {address}
run = sh ask.sh
ready = exit
time-limit = 60s
[expect]
{expect}
"""

SERVERS = ["hub", "coturn", "stund"]
AXES = ["class", "mapping", "filtering", "port-allocation", "pooling", "hairpin"]
PUBLIC = {"address": "198.51.100.2", "inside": "198.51.100.0/24"}


@pytest.fixture(params=ENGINES)
def ask(pinlab, pinhole, write, tmp_path, request):
    """Runs a lab with this NAT; returns the verdict's cell, what alice's programs put out, and their exit statuses."""

    def run(nat, address="192.168.1.2", inside="192.168.1.0/24", expect="", coturn=None, strangers=True):
        commands = {name: f"{pinhole} classify --json --server {name}" for name in SERVERS}
        if strangers:
            commands["stun"] = client("stun", address, 5000)
            commands["natdiscovery"] = client("coturn", address, 6000)
        (tmp_path / "ask.sh").write_text(
            "".join(f"({command}; echo $? >/tmp/{name}.status) >/tmp/{name} 2>&1 &\n"
                    for name, command in commands.items())
            + "wait\n"
            + "".join(f"echo '<{name}>'; cat /tmp/{name} /tmp/{name}.status\n" for name in commands))
        text = LAB.format(pinhole=pinhole, coturn=coturn or server("coturn", "203.0.113.20", "203.0.113.21"),
                          coturn_port=3478 if coturn else 3479, stund=server("stun", "203.0.113.30", "203.0.113.31"),
                          nat=nat, inside=inside, address=address, expect=expect)
        cell, _ = pinlab.on(request.param).cell(write(text), "--seed", 1, status=0)
        output = cell["hosts"]["alice"]["program"]["output"]
        said, status = {}, {}
        for part in output.split("\n<")[0:]:
            name, _, text = part.lstrip("<").partition(">\n")
            said[name], _, status[name] = text.rstrip("\n").rpartition("\n")
        assert list(said) == list(commands), output
        return cell, said, {name: int(value) for name, value in status.items()}

    return run


def claims(said):
    """What `pinhole classify` said of each server."""
    return {name: json.loads(said[name]) for name in SERVERS}


def certified_of(cell):
    """With a single external address, which is not certified to be chosen in any way, all mappings are paired."""
    certified = {"pooling": "paired", **axes(cell["nats"]["home"], "certified")}
    return {**certified, "class": cell["hosts"]["alice"]["class"]["certified"]}


def assert_servers_agree(cell, said):
    """Every server makes us say the same, and of what is known that is what was certified. Returns it."""
    claimed = {name: {axis: claim[axis] for axis in AXES} for name, claim in claims(said).items()}
    assert claimed["coturn"] == claimed["stund"] == claimed["hub"], said
    certified = certified_of(cell)
    for axis, word in claimed["hub"].items():
        if word == "unknown":
            assert all(claim["why"][axis] for claim in claims(said).values())
        else:
            assert word == certified[axis], (axis, claimed["hub"], certified)
    return claimed["hub"]


def natdiscovery_word(mapping):
    """natdiscovery's third question goes to the OTHER-ADDRESS of the second answer, and is meant for the second address
    again. Of a server that follows RFC 5780 §7.4 (what is other than the address that was asked) that is the first
    address, so that it takes what depends on the address for more. coturn names the second address there, and only
    to coturn does natdiscovery say "address-dependent" (see test_judges.py)."""
    return APD if mapping == AD else mapping


@pytest.mark.parametrize("mapping, filtering", CELLS)
def test_all_agree_on_the_nine_cells(ask, mapping, filtering):
    nat = f"mapping = {mapping}\nfiltering = {filtering}\nport-allocation = random"
    cell, said, _ = ask(f"{nat}\nport-range = 8000-65535")  # no port of theirs is preserved by chance
    ours = assert_servers_agree(cell, said)
    assert (ours["mapping"], ours["filtering"], ours["port-allocation"]) == (mapping, filtering, "random")
    assert (ours["pooling"], ours["hairpin"]) == ("paired", "none")
    theirs = coturn_says(said["natdiscovery"])
    assert (theirs["mapping"], theirs["filtering"]) == (natdiscovery_word(mapping), filtering), said["natdiscovery"]
    theirs = stun_says(said["stun"])
    if mapping == EI:
        assert theirs == {"mapping": mapping, "filtering": filtering, "preserves": False, "hairpin": False}, said
    else:
        assert theirs["mapping"] == "dependent" and theirs["preserves"] is False


@pytest.mark.parametrize("hairpin", ["none", "internal-source", "external-source"])
@pytest.mark.parametrize("filtering", [EI, APD])
def test_all_agree_on_hairpins_and_on_preserved_ports(ask, hairpin, filtering):
    """stun takes any answer for hairpin, whatever its source."""
    cell, said, _ = ask(f"mapping = {EI}\nfiltering = {filtering}\nport-allocation = preserve\nhairpin = {hairpin}")
    ours = assert_servers_agree(cell, said)
    assert (ours["filtering"], ours["port-allocation"], ours["hairpin"]) == (filtering, "preserve", hairpin)
    theirs = stun_says(said["stun"])
    assert theirs == {"mapping": EI, "filtering": filtering, "preserves": True, "hairpin": hairpin != "none"}


@pytest.mark.parametrize("filtering", [EI, AD, APD])
def test_all_agree_where_nothing_is_translated(ask, filtering):
    word = "direct" if filtering == EI else "firewall"
    cell, said, _ = ask(f"mapping = none\nfiltering = {filtering}", **PUBLIC)
    ours = assert_servers_agree(cell, said)
    assert (ours["class"], ours["mapping"], ours["filtering"]) == (word, "none", filtering)
    theirs = coturn_says(said["natdiscovery"])
    assert (theirs["mapping"], theirs["filtering"]) == ("none", filtering)
    assert stun_says(said["stun"])["class"] == word


def test_all_agree_on_blocked_udp(ask):
    """natdiscovery says nothing at all."""
    cell, said, status = ask("behaviour = port-restricted\nudp = blocked")
    assert assert_servers_agree(cell, said)["class"] == "udp-blocked"
    assert all(status[name] == 0 for name in SERVERS)
    assert stun_says(said["stun"])["class"] == "udp-blocked"
    assert coturn_says(said["natdiscovery"]) == {}


COTURN = "turnserver -n -S --no-cli --log-file stdout --pidfile /tmp/turnserver.pid"
LIMITED = {
    "one-address": (f"{COTURN} -L 203.0.113.20", "plain STUN server"),
    "no-rfc5780": (f"{COTURN} -L 203.0.113.20 -L 203.0.113.21 --no-rfc5780", ""),
}


@pytest.mark.parametrize("nat", ["full-cone", "restricted", "port-restricted", "symmetric"])
@pytest.mark.parametrize("limit", LIMITED)
@pytest.mark.parametrize("ask", ["kernel"], indirect=True)  # what a server leaves out is no engine's matter
def test_what_a_stranger_cannot_say_is_unknown_with_the_reason(ask, limit, nat):
    coturn, reason = LIMITED[limit]
    cell, said, status = ask(f"behaviour = {nat}", coturn=coturn, strangers=False)
    ours = claims(said)
    claimed, certified = ours["coturn"], certified_of(cell)
    for axis in AXES:
        assert claimed[axis] in (certified[axis], "unknown"), (axis, claimed)
        assert claimed[axis] != "unknown" or claimed["why"][axis], claimed
    assert status["coturn"] == (3 if claimed["class"] == "unknown" else 0)
    assert claimed["filtering"] == "unknown" and reason in claimed["why"]["filtering"]
    assert claimed["external"].startswith("203.0.113.2:")
    assert ours["hub"]["class"] == ours["stund"]["class"] == nat
