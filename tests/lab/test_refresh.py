# SPDX-License-Identifier: GPL-2.0-or-later
"""What keeps a mapping and a filter alive: packets of either direction, in flows that began on either side."""

import pytest

LAB = """[topology]
title = A mapping that others keep alive
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
{nat}
[host hub]
on = internet
addresses = 203.0.113.10, 203.0.113.11
run = /usr/bin/python3 hub.py
ready = line ready
[host alice]
behind = home
run = /usr/bin/python3 alice.py
ready = exit
time-limit = 30s
"""

# Alice writes to the hub once. Then it is STRANGER who sends to her, and whom she answers if she ANSWERS, for more than
# twice the NAT's timeout. In the end she writes to the hub again, if she answers; else another port of it writes to her.
HUB = """
import select, signal, socket, time

def bound(address):
    socket_ = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    socket_.bind(address)
    return socket_

first, other = bound(("203.0.113.10", 4000)), bound(("203.0.113.10", 4001))
stranger = first if {stranger!r} == "first" else bound({stranger!r})
print("ready", flush=True)
_, alice = first.recvfrom(100)
end = time.monotonic() + 5
while time.monotonic() < end:
    stranger.sendto(b"poke", alice)
    while select.select([stranger], [], [], 0.3)[0]:
        stranger.recvfrom(100)
(stranger if {answers} else other).sendto(b"over", alice)
if {answers}:
    _, again = first.recvfrom(100)
    first.sendto(b"kept" if again == alice else b"changed", again)
signal.pause()
"""

ALICE = """
import socket

mine = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
mine.bind(("0.0.0.0", 5000))
mine.settimeout(4)
mine.sendto(b"hello", ("203.0.113.10", 4000))
word = b""
while word != b"over":
    word, sender = mine.recvfrom(100)
    if {answers} and word == b"poke":
        mine.sendto(b"answer", sender)
if {answers}:
    mine.sendto(b"again", ("203.0.113.10", 4000))
    word, sender = mine.recvfrom(100)
print(word.decode(), "from", sender[1])
"""


def last_word(pinlab, write, tmp_path, nat, hub, alice):
    (tmp_path / "hub.py").write_text(hub)
    (tmp_path / "alice.py").write_text(alice)
    cell, _ = pinlab.cell(write(LAB.format(nat=nat)))
    return cell["hosts"]["alice"]["program"]["output"].strip()


CONE = "mapping = endpoint-independent\nfiltering = endpoint-independent\n"
BY_ADDRESS = "mapping = address-dependent\nfiltering = endpoint-independent\n"
RANDOM = "port-allocation = random\n"

KEPT = {
    "ports at random": (CONE + RANDOM, "203.0.113.11"),
    "wide blocks of ports": (CONE + "port-allocation = block\nblock-size = 1000\n", "203.0.113.11"),
    "early packets taken in": (CONE + RANDOM + "unsolicited = accept\n", "203.0.113.11"),
    "by address, and kept by that address": (BY_ADDRESS + RANDOM, "203.0.113.10"),
    "by address, and kept by another address": (BY_ADDRESS + RANDOM, "203.0.113.11"),
}


def kept_by(pinlab, write, tmp_path, nat, stranger, answers):
    hub, alice = HUB.format(stranger=stranger, answers=answers), ALICE.format(answers=answers)
    return last_word(pinlab, write, tmp_path, nat + "udp-timeout = 2s\n", hub, alice)


@pytest.mark.parametrize("name", KEPT)
def test_a_mapping_that_only_strangers_keep_alive_keeps_its_port(pinlab, write, tmp_path, name):
    """RFC 4787 REQ-1 and REQ-6: it is what a hole that was punched from the other side lives by."""
    nat, address = KEPT[name]
    assert kept_by(pinlab, write, tmp_path, nat, (address, 4002), True) == "kept from 4000"


def test_what_comes_in_keeps_a_firewall_open(pinlab, write, tmp_path):
    nat = "mapping = none\nfiltering = address-dependent\n"
    assert kept_by(pinlab, write, tmp_path, nat, "first", False) == "over from 4001"


MIRROR = """
import select, socket

mine = []
for address in "203.0.113.10", "203.0.113.11":
    mine.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    mine[-1].bind((address, 4000))
print("ready", flush=True)
while True:
    for socket_ in select.select(mine, [], [])[0]:
        _, sender = socket_.recvfrom(100)
        socket_.sendto(str(sender[1]).encode(), sender)
"""

# 80 mappings within 100 ports; each is asked for at one of two places, and then seen from the other one.
MANY = """
import socket

def seen(socket_, address):
    for _ in range(100):
        socket_.sendto(b"where am I?", (address, 4000))
        try:
            return int(socket_.recv(100))
        except TimeoutError:
            pass

places, sockets = ("203.0.113.10", "203.0.113.11"), []
for i in range(80):
    sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sockets[i].bind(("0.0.0.0", 5000 + i))
    sockets[i].settimeout(0.05)
ports = [seen(socket_, places[i % 2]) for i, socket_ in enumerate(sockets)]
again = [seen(socket_, places[1 - i % 2]) for i, socket_ in enumerate(sockets)]
print(len(set(ports)), sum(port == other for port, other in zip(ports, again)))
"""


def test_no_two_mappings_share_a_port(pinlab, write, tmp_path):
    """conntrack would let them, as long as they are for different destinations."""
    nat = CONE + RANDOM + "port-range = 20000-20099\n"
    assert last_word(pinlab, write, tmp_path, nat, MIRROR, MANY) == "80 80"
