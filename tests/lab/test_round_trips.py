# SPDX-License-Identifier: GPL-2.0-or-later
"""How many round trips it takes until the first byte has arrived, and until the direct path is used: by the times of
packets, on an engine that keeps real time. unit/test_node has the same in virtual time, to the millisecond."""

import datetime
import json
import os
import time

import pytest

from conftest import select_for
from test_node import Mesh, Node, WORLD

pytestmark = pytest.mark.usefixtures("our_pinlab")

ROUND_TRIP_S = 0.040
TOLERANCE_S = 0.030  # for a machine that does much else; less than another round trip
TRIES = 4  # and more, until one seems undisturbed: a machine that does much else may be late nearly each time
UNDISTURBED = 1
MORE_S = 60
BYTES = 1000  # of a text: nothing else is as long
# UDP, data, message, what it is; and the relay's data and message around it
STRAIGHT = 8 + 32 + 1 + 1 + BYTES
RELAYED = STRAIGHT + 32 + 5
ALICE, HUB = "203.0.113.2", "203.0.113.10"

# 20 ms from each node to the hub, and to each other.
APART = WORLD.format(west="port-restricted", east="port-restricted") + "".join(
    f"[link {name}]\ndelay = 10ms\n" for name in ("west.outside", "east.outside", "hub"))


@pytest.fixture
def engine():
    return "fabric"


def alice_says(lab, mesh, bob, number):
    """A new alice connects, and goes on saying a text of her own length until some have come straight."""
    fifo = mesh.place / "alice"
    if not fifo.exists():
        os.mkfifo(fifo)
    line = f"send bob {'x' * (BYTES + number)}\n".encode()
    with os.fdopen(os.open(fifo, os.O_RDWR), "wb", buffering=0) as pipe:
        pipe.write(line)  # before she begins
        alice = lab.host("alice").popen(
            ["sh", "-c", 'exec "$@" <"$0"', fifo, mesh.pinhole, "node", "--hub", mesh.hub_words, "--connect", "bob"])
        while '"path":"punched"' not in alice.output:
            assert alice.returncode is None, alice.output
            pipe.write(line)
            select_for(0.005)
        pipe.write(line + f"send bob {number}\n".encode())
        bob.await_event("data", text=str(number))
    alice.stop()
    return alice.output


def seconds_between(said, first, second):
    """Of two events, by the node's own clock."""
    at = {event["event"]: datetime.datetime.fromisoformat(event["time"].rstrip("Z"))
          for event in map(json.loads, said.splitlines()) if event.get("path") != "relayed"}
    return (at[second] - at[first]).total_seconds()


def times(lab):
    """Of each try: from alice's first packet to her first text at bob's, and to the first one that came straight."""
    begun, relayed, straight = {}, {}, {}
    fields = ["frame.time_epoch", "frame.interface_name", "ip.src", "udp.srcport", "udp.length", "udp.payload"]
    for when, interface, source, port, length, payload in lab.captures.packets("udp", fields):
        when, length = float(when), int(length)
        if interface == "west.inside" and source.startswith("192.168.1.") and payload.startswith("c1"):
            begun.setdefault(port, when)  # each has a socket of its own
        elif interface == "east.inside" and source == HUB and length >= RELAYED:
            relayed.setdefault(length - RELAYED, when)
        elif interface == "east.inside" and source == ALICE and length >= STRAIGHT:
            straight.setdefault(length - STRAIGHT, when)
    found = []
    for number in sorted(relayed.keys() & straight.keys()):
        begin = max(when for when in begun.values() if when < relayed[number])
        found.append((relayed[number] - begin, straight[number] - begin))
    return found


@pytest.mark.topology(APART)
def test_the_first_byte_takes_three_round_trips_and_the_direct_path_three_more(lab, pinhole, place):
    mesh = Mesh(lab, pinhole, place)
    bob = Node(mesh, "bob")
    bob.await_event("classified")
    end = time.monotonic() + MORE_S
    tries = undisturbed = 0
    while tries < TRIES or (undisturbed < UNDISTURBED and time.monotonic() < end):
        said = alice_says(lab, mesh, bob, tries)
        tries += 1
        undisturbed += seconds_between(said, "registered", "peer-path") < 4.5 * ROUND_TRIP_S
    found = times(lab)
    print(f"{undisturbed} of {tries} seem undisturbed")
    print("\n".join(f"first byte after {first * 1e3:.1f} ms, straight after {later * 1e3:.1f} ms"
                    for first, later in found))
    assert len(found) >= tries / 2  # two may have had the same port
    # Nobody is faster than light; and at least once the machine had time.
    assert all(2 * ROUND_TRIP_S < first < later for first, later in found)
    assert min(first for first, _ in found) < 3 * ROUND_TRIP_S + TOLERANCE_S
    assert min(later for _, later in found) < 6 * ROUND_TRIP_S + TOLERANCE_S
