# SPDX-License-Identifier: GPL-2.0-or-later
"""Hubs that die, come back, lose an address, lie or are abused, as real processes. A classification then says the right
class or none, with the reason and within its time; and nobody can be harmed by way of a hub or of a client."""

import array
import fcntl
import json
import select
import signal
import socket
import subprocess
import termios
import threading
import time

import pytest

from conftest import LIMIT_SECONDS, claim

DEADLINE_SECONDS = 30  # of a classification, whatever happens

LAB = """[topology]
title = A bad day
[network internet]
subnet = 203.0.113.0/24
[host hub]
on = internet
addresses = 203.0.113.10, 203.0.113.11
run = {hub}
ready = line ready
{before}
{way}
run = {run}
ready = exit
time-limit = 60s
{more}
"""

HOME = """[nat home]
outside = internet
inside = 192.168.1.0/24
{nat}
[host alice]
behind = home"""

OPEN = """[host alice]
on = internet
address = 203.0.113.50"""

# mishap.py N WHAT HUB: runs a hub, and does WHAT as soon as N of its answers have been on the wire; with 0 before it is
# ready.
MISHAP = """
import signal, socket, subprocess, sys
after, what, hub = int(sys.argv[1]), sys.argv[2], [sys.argv[3], "hub"]
wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
running = subprocess.Popen(hub, stdout=subprocess.PIPE)
ready = running.stdout.readline().decode().strip()
if after:
    print(ready, flush=True)
while after:
    packet, (_, _, kind, *_) = wire.recvfrom(2048)
    answer = kind == socket.PACKET_OUTGOING and packet[9:10] == bytes([socket.IPPROTO_UDP])
    after -= answer and packet[20:22] in (b"\\x0d\\x96", b"\\x0d\\x97")
if what in ("dies", "restarts"):
    running.kill()
    running.wait()
if what == "restarts":
    subprocess.run(hub)
if what.startswith("cut "):
    rules = "table ip cut { chain c_out { type filter hook output priority filter\\n ip saddr 203.0.113.11 drop\\n }\\n"
    rules += "chain c_in { type filter hook input priority filter\\n ip daddr 203.0.113.11 drop\\n }\\n }\\n"
    keep = "c_in" if what == "cut out" else "c_out"
    rules += "" if what == "cut both" else "flush chain ip cut " + keep + "\\n"
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
print(ready, flush=True)
running.wait()
signal.pause()
"""


@pytest.fixture
def lab(pinlab, pinhole, write, tmp_path):
    """Runs a lab: its hub, what alice runs, the programs that they need; returns the verdict's cell."""

    def run(way, hub, run="sh -c '{pinhole} classify --server hub --json || exit 0'", before="", more="", programs=None,
            keep=False):
        for name, text in (programs or {}).items():
            (tmp_path / name).write_text(text)
        text = LAB.format(way=way, hub=hub.format(pinhole=pinhole), run=run.format(pinhole=pinhole),
                          before=before, more=more.format(pinhole=pinhole))
        options = ["--pcap", tmp_path / "captures"] if keep else []
        return pinlab.cell(write(text), *options, status=0)[0]

    return run


@pytest.fixture
def packets(tmp_path):
    """The hub's UDP packets that were kept: (time, source, source port, payload's bytes) of each."""

    def read(display_filter):
        fields = ["frame.time_epoch", "ip.src", "udp.srcport", "udp.length"]
        done = subprocess.run(
            ["tshark", "-n", "-r", tmp_path / "captures/case.pcapng", "-T", "fields",
             *(f"-e{field}" for field in fields),
             "-Y", f'frame.interface_name == "hub" && udp && !icmp && {display_filter}'],
            capture_output=True, text=True, check=True, timeout=LIMIT_SECONDS)
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        return [(float(time), source, int(port), int(length) - 8) for time, source, port, length in rows]

    return read


def assert_right_or_unknown(claimed, expected):
    assert claimed["class"] in (expected, "unknown"), claimed
    assert claimed["class"] != "unknown" or claimed["why"]["class"], claimed
    assert claimed["duration_s"] <= DEADLINE_SECONDS
    return claimed["class"]


@pytest.mark.parametrize("nat", ["full-cone", "port-restricted"])
@pytest.mark.parametrize("what", ["dies", "restarts", "cut out", "cut in", "cut both"])
@pytest.mark.parametrize("after", [1, 4, 8, 12])
def test_what_happens_to_a_hub_meanwhile_makes_no_wrong_class(lab, what, after, nat):
    cell = lab(HOME.format(nat=f"behaviour = {nat}"), f"/usr/bin/python3 mishap.py {after} '{what}' {{pinhole}}",
               programs={"mishap.py": MISHAP})
    assert_right_or_unknown(claim(cell), nat)


@pytest.mark.parametrize("what", ["cut out", "cut in", "cut both"])
@pytest.mark.parametrize("nat", ["full-cone", "restricted", "port-restricted", "symmetric"])
def test_a_hub_whose_second_address_is_cut_off_says_what_it_can(lab, what, nat):
    cell = lab(HOME.format(nat=f"behaviour = {nat}"), f"/usr/bin/python3 mishap.py 0 '{what}' {{pinhole}}",
               programs={"mishap.py": MISHAP})
    claimed = claim(cell)
    assert_right_or_unknown(claimed, nat)
    assert claimed["external"].startswith("203.0.113.2:")
    if nat == "symmetric":  # two ports of the first address tell that
        assert claimed["class"] == "symmetric"
    else:
        assert claimed["mapping"] == "unknown" and "does not answer" in claimed["why"]["mapping"]


# liar.py HOW: a server that answers every request, on all four sockets, so.
LIAR = """
import os, select, socket, struct, sys
VICTIM = socket.inet_aton("203.0.113.66")
def address(kind, host, port):
    return struct.pack("!HHBBH", kind, 8, 0, 1, port) + host
def answer(how, request, client):
    seen = address(0x0020, struct.pack("!I", struct.unpack("!I", socket.inet_aton(client[0]))[0] ^ 0x2112A442),
                   client[1] ^ 0x2112)
    other = address(0x802C, socket.inet_aton("203.0.113.11"), 3479)
    transaction = request[4:20]
    if how == "wrong transactions":
        transaction = request[4:8] + os.urandom(12)
    if how == "victim as other address":
        other = address(0x802C, VICTIM, 53)
    if how == "victim as mapped address":
        seen = address(0x0001, VICTIM, 53)
    if how == "error":
        seen, other = struct.pack("!HHHBB4s", 9, 8, 0, 5, 0, b"Late"), b""
    kind = 0x0111 if how == "error" else 0x0101
    whole = struct.pack("!HH", kind, len(seen + other)) + transaction + seen + other
    if how == "truncated":
        return whole[:-5]
    if how == "length":
        return whole[:2] + b"\\xff\\xfc" + whole[4:]
    if how == "echo":
        return request
    if how == "endless attribute":
        return struct.pack("!HH", 0x0101, 4) + transaction + b"\\x00\\x20\\xff\\xff"
    return whole
servers = []
for host in ("203.0.113.10", "203.0.113.11"):
    for port in (3478, 3479):
        servers.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        servers[-1].bind((host, port))
print("ready", flush=True)
while True:
    for server in select.select(servers, [], [])[0]:
        request, client = server.recvfrom(2048)
        if client[0] != "203.0.113.66":
            server.sendto(answer(sys.argv[1], request, client), client)
"""


@pytest.mark.parametrize("how", ["wrong transactions", "error", "truncated", "length", "echo", "endless attribute"])
def test_a_server_that_answers_nonsense_makes_no_class(lab, how):
    cell = lab(HOME.format(nat="behaviour = full-cone"), f"/usr/bin/python3 liar.py '{how}'",
               programs={"liar.py": LIAR})
    claimed = claim(cell)
    assert claimed["class"] == claimed["mapping"] == "unknown" and claimed["external"] is None, claimed
    assert "answer" in claimed["why"]["class"] and claimed["duration_s"] < 4


VICTIM = """[host victim]
on = internet
address = 203.0.113.66
run = /usr/bin/python3 victim.py
ready = line ready
"""

# Counts what comes to any of its UDP ports, whoever sends it.
COUNT = """
import socket
wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
print("ready", flush=True)
while True:
    packet, (_, _, kind, *_) = wire.recvfrom(2048)
    if kind == socket.PACKET_HOST and packet[9] == socket.IPPROTO_UDP:
        print("datagram of", len(packet) - 28, flush=True)
"""


@pytest.mark.parametrize("how, most", [("victim as other address", 12), ("victim as mapped address", 40)])
def test_a_lying_server_has_a_client_send_little_to_a_victim(lab, how, most):
    """As another address of the server's, two of its ports are asked, six times each. As the address that the client is
    said to have it is tested for a hairpin, twice a round."""
    cell = lab(HOME.format(nat="behaviour = port-restricted"), f"/usr/bin/python3 liar.py '{how}'", before=VICTIM,
               programs={"liar.py": LIAR, "victim.py": COUNT})
    claimed = claim(cell)
    assert claimed["class"] == "unknown" or how == "victim as mapped address", claimed
    came = cell["hosts"]["victim"]["program"]["output"].count("datagram of 120")
    assert 0 < came <= most


# flood.py HOW: 6000 small requests, some 4000/s: more than a source is answered, and no more than the recording takes.
FLOOD = """
import os, select, socket, struct, sys
def pace(i):
    if i % 8 == 7:
        select.select([], [], [], 0.002)
def request(attributes=b""):
    return struct.pack("!HHI", 1, len(attributes), 0x2112A442) + os.urandom(12) + attributes
def spoofed(payload, source, to):
    udp = struct.pack("!HHHH", 53, 3478, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, socket.inet_aton(source),
                     socket.inet_aton(to))
    return ip + udp
hub, change = "203.0.113.10", struct.pack("!HHI", 3, 4, 6)
if sys.argv[1] == "spoofed":
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for i in range(6000):
        raw.sendto(spoofed(request(change if i % 2 else b""), "203.0.113.66", hub), (hub, 0))
        pace(i)
else:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for i in range(6000):
        s.sendto(request(change if sys.argv[1] == "change" else b""), (hub, 3478))
        pace(i)
"""

BURST_BYTES, BYTES_PER_SECOND = 128 * 1024, 64 * 1024
BURST_CHANGES, CHANGES_PER_SECOND = 128, 16


@pytest.mark.parametrize("how", ["plain", "change", "spoofed"])
def test_a_flood_is_answered_with_little(lab, packets, how):
    """In the recording: an answer has four times its request's bytes at most, all answers to one source together what
    its buckets let through, and few come from elsewhere. Somebody else is served meanwhile."""
    bob = """[host bob]
on = internet
run = {pinhole} classify --server hub --json
ready = exit
time-limit = 40s
"""
    cell = lab(OPEN, "{pinhole} hub", run=f"/usr/bin/python3 flood.py {how}", before=VICTIM, more=bob, keep=True,
               programs={"flood.py": FLOOD, "victim.py": COUNT})
    source = "203.0.113.66" if how == "spoofed" else "203.0.113.50"
    asked, answered = packets(f"ip.src == {source} && udp.dstport == 3478"), packets(f"ip.dst == {source}")
    assert len(asked) == 6000 and answered
    assert max(length for *_, length in answered) <= 4 * min(length for *_, length in asked)
    seconds = answered[-1][0] - asked[0][0]
    assert sum(length for *_, length in answered) <= BURST_BYTES + BYTES_PER_SECOND * seconds
    changed = [row for row in answered if row[1:3] != ("203.0.113.10", 3478)]
    assert len(changed) <= BURST_CHANGES + CHANGES_PER_SECOND * seconds + 1
    assert bool(changed) == (how != "plain")
    assert claim(cell, "bob")["class"] == "direct"


STUN = b"\0\1\0\0\x21\x12\xa4\x42" + b"\7" * 12


def ask(host, port=3478):
    """Whether a hub answers there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(10)
        asking.sendto(STUN, (host, port))
        return asking.recv(500)[:2] == b"\1\1"


def held_by(pipe):
    """How many bytes wait in it."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def test_a_hub_serves_though_nobody_reads_what_it_writes(pinhole):
    """Its pipe is full after some 100 lines; what a reader then finds is whole, and says what was lost."""
    with subprocess.Popen([pinhole, "hub", "--listen", "127.0.77.1:47301", "--metrics", "1ms"], stdout=subprocess.PIPE) as hub:
        try:
            assert hub.stdout.readline().startswith(b"ready")
            end = time.monotonic() + LIMIT_SECONDS
            held = -1
            while held != (held := held_by(hub.stdout)) or held < 20000:  # its pages have gaps where a line did not fit
                assert time.monotonic() < end
                select.select([], [], [], 0.1)
            assert all(ask("127.0.77.1", 47301) for _ in range(20))
            lost = 0
            while not lost:
                assert time.monotonic() < end
                lost = json.loads(hub.stdout.readline())["lost-lines"]
            hub.send_signal(signal.SIGTERM)
            for line in hub.stdout:
                assert json.loads(line)["lost-lines"] >= lost
            assert hub.wait(LIMIT_SECONDS) == 0
        finally:
            hub.kill()


@pytest.mark.parametrize("output, why", [("> /dev/full", "No space left on device"), (">&-", "Bad file descriptor")])
def test_a_hub_that_cannot_say_it_is_ready_ends_at_once(pinhole, output, why):
    said = subprocess.run(["sh", "-c", f'exec "$0" hub --listen 127.0.77.2:47303 {output}', pinhole], capture_output=True,
                          text=True, timeout=LIMIT_SECONDS, check=False)
    assert said.returncode == 1 and said.stderr == f"pinhole: cannot write to standard output: {why}\n"


ALONE = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c"]


def alone(script, pinhole):
    """What a shell says that is in a network of its own, with nothing but what it makes there."""
    return subprocess.run([*ALONE, script, "sh", pinhole], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)


DROP = "ip link set lo up; nft add table ip t; nft add chain ip t o '{ type filter hook output priority 0; }'; " \
       "nft add rule ip t o meta l4proto udp drop; "


@pytest.mark.parametrize("before, why", [
    ("", "Network is unreachable"), ("ip link set lo up; ip route add unreachable default; ", "No route to host"),
    ("ip link set lo up; ip route add prohibit default; ", "Permission denied"),
    ("ip link set lo up; ip route add blackhole default; ", "Invalid argument"),
])
@pytest.mark.parametrize("word", ["classify", "reflex", "lifetime"])
def test_who_cannot_send_says_so_and_tells_no_class(pinhole, word, before, why):
    said = alone(f'{before}exec "$1" {word} --server 203.0.113.1', pinhole)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr == f"pinhole: --server 203.0.113.1: cannot send to 203.0.113.1:3478: {why}\n"


def test_N16_a_firewall_of_ones_own_blocks_udp_as_any_other(pinhole):
    said = alone(DROP + 'exec "$1" classify --server 127.0.0.1 --json', pinhole)
    claimed = json.loads(said.stdout)
    assert (said.returncode, claimed["class"]) == (0, "udp-blocked")
    assert claimed["why"]["class"] == "this host's own firewall lets no UDP out"
    said = alone(DROP + 'exec "$1" reflex --server 127.0.0.1', pinhole)
    assert (said.returncode, said.stdout) == (1, "") and "Operation not permitted" in said.stderr


def test_a_watch_without_a_network_says_that_it_has_none(pinhole):
    watch = [*ALONE, 'exec "$1" watch --server 203.0.113.1 --json', "sh", pinhole]
    with subprocess.Popen(watch, stdout=subprocess.PIPE) as running:
        line = json.loads(running.stdout.readline())
        running.terminate()
    assert line["class"] == "unknown" and line["why"]["class"] == "there is no way to the server just now"


def babble(server):
    """Answers all with what is no STUN, until somebody sends nothing at all."""
    while request := server.recvfrom(2048):
        if not request[0]:
            return
        server.sendto(b"HTTP/1.1 200 OK", request[1])


@pytest.mark.parametrize("word, status", [("classify", 3), ("reflex", 1)])
def test_a_server_of_something_else_answers_nonsense(pinhole, word, status):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.77.3", 0))
        thread = threading.Thread(target=babble, args=(server,))
        thread.start()
        try:
            said = subprocess.run([pinhole, word, "--server", f"127.0.77.3:{server.getsockname()[1]}"], capture_output=True,
                                  text=True, timeout=LIMIT_SECONDS, check=False)
        finally:
            server.sendto(b"", server.getsockname())
            thread.join()
    assert said.returncode == status and "the reflector answers nonsense" in said.stdout + said.stderr


@pytest.mark.parametrize("address, said", [
    ("::ffff:127.0.0.1", "pinhole: a hub listens on an IPv4 address as such"),
    ("[::ffff:127.0.0.1]:4478", "pinhole: a hub listens on an IPv4 address as such"),
    ("2001:db8::1:4478", "(--listen 2001:db8::1:4478 is an address without a port: with one it has brackets"),
])
def test_an_address_that_was_meant_otherwise_is_explained(pinhole, address, said):
    refused = subprocess.run([pinhole, "hub", "--listen", address], capture_output=True, text=True, timeout=LIMIT_SECONDS,
                             check=False)
    assert refused.returncode in (1, 2) and said in refused.stderr and refused.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["--server", b"\xff"], [b"--server=\xff"]])
def test_a_value_that_is_no_text_names_its_option(pinhole, words):
    refused = subprocess.run([pinhole, "classify", *words], capture_output=True, timeout=LIMIT_SECONDS, check=False)
    assert refused.returncode == 2 and refused.stderr.startswith(b"pinhole: --server: expected a value in ASCII")
