# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks on a hub over real sockets: mallory sends what seems to come from a victim, and the victim's wire says what comes of it."""

import json
import time
import uuid

import pytest

from conftest import select_for, type_in

# mallory -- internet -- hub, alice, victim
WORLD = """[topology]
title = A hub, who uses it, who attacks it, and a victim
[network internet]
subnet = 203.0.113.0/24
[host hub]
on = internet
addresses = 203.0.113.10, 203.0.113.11
[host alice]
on = internet
address = 203.0.113.20
[host mallory]
on = internet
address = 203.0.113.66
[host victim]
on = internet
address = 203.0.113.99
"""

pytestmark = [pytest.mark.usefixtures("our_pinlab"), pytest.mark.topology(WORLD),
              # The other engine's hosts have no devices that carry a forged source.
              pytest.mark.parametrize("engine", ["kernel"])]

HUB, VICTIM, ALICE = "203.0.113.10", "203.0.113.99", "203.0.113.20"

# Stands between mallory's own node and the hub. It keeps what the node sends; once the file FORGE is there, what goes to
# the hub seems to come from the victim.
BETWEEN = f"""
import json, os, select, socket, sys
from scapy.all import IP, UDP, Raw, conf, L3RawSocket
keep, forge = sys.argv[1:]
raw = L3RawSocket()
node, hub = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
node.bind(("127.0.0.1", 3478))
hub.connect(("{HUB}", 3478))
print("ready", flush=True)
who = None
while True:
    for end in select.select([node, hub], [], [])[0]:
        if end is hub:
            try:
                node.sendto(hub.recv(2048), who)
            except OSError:
                pass
            continue
        data, who = node.recvfrom(2048)
        with open(keep, "a") as file:
            file.write(data.hex() + "\\n")
        if os.path.exists(forge):
            raw.send(IP(src="{VICTIM}", dst="{HUB}") / UDP(sport=5353, dport=3478) / Raw(data))
        else:
            hub.send(data)
"""

# Lines of FILE, COUNT times, from the victim as it seems, or from where it is.
SEND = f"""
import sys, time
from scapy.all import IP, UDP, Raw, L3RawSocket
raw = L3RawSocket()
lines = [bytes.fromhex(line) for line in open(sys.argv[1])]
for _ in range(int(sys.argv[2])):
    for data in lines:
        raw.send(IP(src=sys.argv[3], dst="{HUB}") / UDP(sport=5353, dport=3478) / Raw(data))
        time.sleep(0.002)
"""


class Scene:
    def __init__(self, lab, pinhole, place):
        self.lab, self.pinhole = lab, pinhole
        self.place = place / uuid.uuid4().hex
        self.place.mkdir()
        self.key = lab.host("hub").run([pinhole, "key", "new", self.place / "hub.key"]).stdout.strip()
        self.kept, self.forge = self.place / "kept", self.place / "forge"
        for name, text in (("between.py", BETWEEN), ("send.py", SEND)):
            (self.place / name).write_text(text)
        self.start_hub()

    def start_hub(self):
        self.hub = self.lab.host("hub").popen(
            [self.pinhole, "hub", "--key", self.place / "hub.key", "--metrics", "200ms"], ready=" key ")

    def node(self, host, name, *options, hub="hub"):
        program = self.lab.host(host).popen(
            ["sh", "-c", 'sleep 1000 | exec "$@"', "sh", self.pinhole, "node", "--hub", f"{self.key}@{hub}", "--name", name,
             *options], ready='"registered"')
        return program

    def between(self):
        return self.lab.host("mallory").popen(["/usr/bin/python3", self.place / "between.py", self.kept, self.forge],
                                              ready="ready")

    def requests(self, n):
        """As many requests with mallory's own keys, each with a CONNECT, as the hub got them."""
        self.between()
        for number in range(n):
            program = self.node("mallory", f"m{number}", "--connect", "alice", hub="127.0.0.1")
            program.stop()
        packets = [line for line in self.kept.read_text().split() if line.startswith("c1")]
        assert len(packets) >= n
        return packets

    def send(self, packets, count=1, source=VICTIM):
        file = self.place / uuid.uuid4().hex
        file.write_text("\n".join(packets) + "\n")
        self.lab.host("mallory").run(["/usr/bin/python3", self.place / "send.py", file, str(count), source])

    def station(self):
        """The station's counters, from now."""
        before = self.hub.output.count("\n")
        end = time.monotonic() + 20
        while self.hub.output.count("\n") < before + 2:
            assert time.monotonic() < end, self.hub.output
            select_for(0.05)
        return json.loads(self.hub.output.splitlines()[-1])["station"]

    def lengths(self, what):
        """Of the payloads of UDP datagrams."""
        return [int(length) - 8 for (length,) in self.lab.captures.packets(f"udp && {what}", ["udp.length"])]

    def bytes(self, what):
        lengths = self.lengths(what)
        return sum(lengths), len(lengths)


@pytest.fixture
def scene(lab, pinhole, place):
    return Scene(lab, pinhole, place)


TO_VICTIM = f'ip.dst == {VICTIM} && !icmp && frame.interface_name == "victim"'
FORGED = f'ip.src == {VICTIM} && !icmp && frame.interface_name == "hub"'


def test_forged_requests_do_not_amplify(scene):
    scene.node("alice", "alice")
    packets = scene.requests(3)
    scene.hub.stop()  # it knows none of them any more
    scene.start_hub()
    scene.send(packets, count=100)
    sent, n_sent = scene.bytes(FORGED)
    got, n_got = scene.bytes(TO_VICTIM)
    assert n_sent == 100 * len(packets)
    assert 0 < n_got <= n_sent and got <= sent, (got, sent)
    assert scene.station()["registered"] <= 1  # alice, who may have come back by now


def test_what_is_no_request_is_not_answered(scene):
    (packet, *_) = scene.requests(1)
    wrong = [f"{packet[:-66]}00{packet[-64:]}", "c4" + "00" * 99, "c3" + "00" * 63, "c2" + "00" * 80, "c1000000", "ff" * 1200]
    scene.send(wrong, count=30)
    assert scene.bytes(TO_VICTIM) == (0, 0)
    assert scene.bytes(FORGED)[1] == 30 * len(wrong)


def test_a_flood_of_stun_is_answered_within_bounds(scene):
    request = "000100002112a442" + "00" * 12
    scene.send([request], count=500)
    sent, n_sent = scene.bytes(FORGED)
    got, n_got = scene.bytes(TO_VICTIM)
    assert n_sent == 500 and 0 < n_got <= 500
    assert got <= 4 * sent, (got, sent)


def test_who_is_registered_does_not_aim_the_relay(scene):
    """Mallory's node is sent to by an accomplice, and its own packets seem to come from the victim from then on."""
    scene.between()
    scene.node("mallory", "m", hub="127.0.0.1")
    fifo = scene.place / "lines"
    accomplice = scene.lab.host("alice").popen(
        ["sh", "-c", 'mkfifo "$0"; exec "$@" 0<>"$0"', fifo, scene.pinhole, "node", "--hub", f"{scene.key}@hub", "--name", "alice",
         "--relay-only", "--connect", "m"], ready='"peer-up"')
    scene.forge.touch()
    end = time.monotonic() + 6
    before = scene.station()["relayed"]
    while time.monotonic() < end:
        type_in(fifo, f"send m {'x' * 500}\n".encode() * 20, accomplice)
        select_for(0.1)
    assert accomplice.returncode is None
    assert scene.station()["relayed"] >= before
    forged, got = scene.lengths(FORGED), scene.lengths(TO_VICTIM)
    # What is for mallory has 500 bytes at least. Pings have 41, and there are answers to the node's own STUN requests.
    assert forged and len(got) <= len(forged) and max(got) < 200 and sum(got) <= 4 * sum(forged), (got, forged)


def test_a_replay_at_a_hub_that_begins_anew_holds_no_name(scene):
    packets = scene.requests(1)
    scene.hub.stop()
    scene.start_hub()
    scene.send(packets, count=5)
    after = scene.station()
    assert (after["registered"], after["refused-name"]) == (0, 0)
    scene.node("alice", "m0")  # the name that was asked for, by another key
    assert scene.station()["registered"] == 1
