# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings of nodes: what they replay to, on each engine, and what is in the files."""

import concurrent.futures
import json
import os
import signal
import stat
import struct
import subprocess
import uuid

import pytest

from conftest import ENGINES
from test_node import CONES, Mesh, Node, talk

NODES = """[topology]
title = Nodes that are recorded
[network internet]
subnet = 203.0.113.0/24
[nat home-a]
outside = internet
inside = 192.168.1.0/24
behaviour = port-restricted
[nat home-b]
outside = internet
inside = 192.168.2.0/24
behaviour = port-restricted
[nat home-c]
outside = internet
inside = 192.168.3.0/24
behaviour = full-cone
[host alice]
behind = home-a
run = node
[host bob]
behind = home-b
run = node --connect alice
[host carol]
behind = home-c
run = node --connect alice
[host hub]
on = internet
addresses = 203.0.113.10, 203.0.113.11
run = hub
[expect]
alice.class = port-restricted
"""


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def mesh(lab, pinhole, place):
    return Mesh(lab, pinhole, place)


def replay(pinlab, path, *arguments):
    return pinlab.run("replay", path, *arguments)


def same(pinlab, path):
    result = replay(pinlab, path, "--json")
    result.expect(0)
    said = result.json()
    assert said["verdict"] == "same", result.text
    return said


@pytest.mark.parametrize("name", ["virtual", "kernel", "fabric"])
def test_each_node_of_a_lab_replays_to_the_byte_on_each_engine(pinlab, write, tmp_path, name):
    topology = write(NODES, "recorded.ini")
    pinlab.run("run", topology, "--engine", name, "--pcap", tmp_path / "kept", "--seed", 5).expect(0)
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "recorded.alice.pcapng", "recorded.bob.pcapng", "recorded.carol.pcapng", "recorded.pcapng"]
    for host in ("alice", "bob", "carol"):
        said = same(pinlab, tmp_path / "kept" / f"recorded.{host}.pcapng")
        assert said["secrets"] and said["inputs"] > 30 and said["transmits"] > 30 and said["events"] >= 3


def test_runs_in_virtual_time_are_recorded_to_the_same_bytes(pinlab, write, tmp_path):
    topology = write(NODES, "recorded.ini")
    for run in ("one", "two"):
        pinlab.run("run", topology, "--engine", "virtual", "--pcap", tmp_path / run, "--seed", 5).expect(0)
    for host in ("alice", "bob", "carol"):
        one, two = ((tmp_path / run / f"recorded.{host}.pcapng").read_bytes() for run in ("one", "two"))
        assert one == two


def test_every_node_of_every_pair_replays(pinlab, tmp_path):
    report = pinlab.run("matrix", "--pairs", "--engine", "virtual", "--pcap", tmp_path, "--json", "-").json()
    nodes = [path for path in tmp_path.iterdir() if path.suffixes == [".alice", ".pcapng"] or
             path.suffixes == [".bob", ".pcapng"]]
    assert len(nodes) == 2 * len(report["cells"]) >= 2 * 100
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for said in pool.map(lambda path: same(pinlab, path), nodes):
            assert said["secrets"] and not said["cut"]


class Recorded:
    """A node in a lab that stands, recorded as anybody would."""

    def __init__(self, mesh, name, *options):
        self.path = mesh.place / f"{name}.pcapng"
        self.node = Node(mesh, name, "--record", self.path, *options)


@CONES
def test_a_recording_has_no_secrets_unless_they_are_asked_for(lab, mesh, pinlab):
    (mesh.place / "alice.pcapng").write_text("an older one, which anybody could read")
    (mesh.place / "alice.pcapng").chmod(0o644)
    alice, bob = Recorded(mesh, "alice"), Recorded(mesh, "bob", "--connect", "alice", "--record-secrets")
    words = [f"nobody-else-{uuid.uuid4().hex}" for _ in range(20)]
    talk(bob.node, alice.node, "alice", words[0])
    for node in (alice, bob):
        node.node.await_event("peer-path", path="punched")
    for word in words[1:]:
        talk(bob.node, alice.node, "alice", word)
        talk(alice.node, bob.node, "bob", word)
    for node in (alice, bob):
        node.node.program.send_signal(signal.SIGTERM)
        node.node.program.wait()
        assert stat.S_IMODE(os.stat(node.path).st_mode) == 0o600
    for node, secrets in ((alice, False), (bob, True)):
        said = same(pinlab, node.path)
        assert (said["secrets"], said["cut"]) == (secrets, False) and said["input"] == "close"
        recorded = node.path.read_bytes()
        assert [word.encode() in recorded for word in words] == [secrets] * len(words)


@CONES
def test_what_a_killed_node_has_recorded_replays(lab, mesh, pinlab):
    alice = Recorded(mesh, "alice")
    alice.node.await_event("classified")
    alice.node.kill()
    assert same(pinlab, alice.path)["events"] >= 2


@CONES
def test_a_full_disk_ends_the_recording_and_not_the_node(lab, mesh):
    alice, bob = Node(mesh, "alice", "--record", "/dev/full"), Node(mesh, "bob", "--connect", "alice")
    talk(bob, alice, "alice", "all the same")
    errors = alice.events("error")
    assert [error["reason"] for error in errors] == ["not-recorded"] and "No space left" in errors[0]["sentence"]
    assert alice.program.returncode is None


@CONES
def test_a_file_that_may_not_be_longer_ends_the_recording_and_not_the_node(lab, mesh):
    path = mesh.place / "short.pcapng"
    words = '(ulimit -f 1; exec "$@") | cat'  # what it says may be as long as it likes
    program = lab.host("alice").popen(
        ["sh", "-c", words, "sh", mesh.pinhole, "node", "--hub", mesh.hub_words, "--name", "alice", "--record", path],
        ready='"not-recorded"')
    program.wait_for('"classified"')
    assert "File too large" in program.output and program.returncode is None
    assert mesh.run("bob", "ping", "--count", "1", "alice").returncode == 0


@pytest.mark.parametrize("arguments, wanted", [
    (["--record-secrets"], "--record-secrets is for --record FILE"),
    (["--record", "/no/such/folder/alice.pcapng"], "cannot write to /no/such/folder/alice.pcapng"),
])
def test_what_cannot_be_recorded_is_said_before_anything_else(pinlab, arguments, wanted):
    pinhole = pinlab.program.parent / "pinhole"
    ended = subprocess.run([pinhole, "node", "--hub", "sBhs5mBNAYgDjynx+LgfDMkYjLNTEmaetDCs2uY0b3I=@127.0.0.1:9", *arguments], capture_output=True,
                           text=True, check=False, timeout=20)
    assert ended.returncode in (1, 2) and wanted in ended.stderr


# ---- files ----

@pytest.fixture(scope="module")
def recording(pinlab, tmp_path_factory):
    place = tmp_path_factory.mktemp("recording")
    pinlab.run("run", "--pair", "port-restricted,symmetric", "--engine", "virtual", "--pcap", place).expect(0)
    return place / "pair-port-restricted-symmetric.alice.pcapng"


def test_wireshark_and_scapy_see_the_datagrams(recording, pinlab):
    said = same(pinlab, recording)
    read = subprocess.run(["tshark", "-r", recording, "-Y", "udp", "-T", "fields", "-e", "ip.src", "-e", "stun.type"],
                          capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(read) > said["transmits"]
    assert sum("0x0001" in line for line in read) > 3  # STUN requests are such there
    assert not [line for line in read if "alformed" in line]
    scapy = subprocess.run(["/usr/bin/python3", "-c", "import sys; from scapy.all import rdpcap, IP, UDP\n"
                            "print(sum(IP in packet and UDP in packet for packet in rdpcap(sys.argv[1])))", recording],
                           capture_output=True, text=True, check=True).stdout
    assert int(scapy) == len(read)


def test_one_byte_that_is_another_one_is_named_with_its_input(recording, pinlab, tmp_path):
    changed = bytearray(recording.read_bytes())
    at = sent = 0
    while sent < 10:  # the tenth packet that went out: Enhanced Packet Blocks, by their flags
        kind, length, kept = *struct.unpack_from("<II", changed, at), struct.unpack_from("<I", changed, at + 20)[0]
        sent += kind == 6 and changed[at + 28 + (kept + 3 & ~3) + 4] == 2
        if sent < 10:
            at += length
    changed[at + 28 + kept - 1] ^= 1
    path = tmp_path / "changed.pcapng"
    path.write_bytes(changed)
    result = replay(pinlab, path)
    result.expect(1)
    assert "differs at input" in result.stdout and "expected: transmit to" in result.stdout
    said = replay(pinlab, path, "--json").json()
    assert said["verdict"] == "differs" and said["transmits"] == 9 and said["expected"] != said["got"]
    steps = [json.loads(line) for line in replay(pinlab, recording, "--json", "--events").stdout.splitlines()]
    assert [step for step in steps if step.get("step") == "transmit"][9]["number"] == said["number"]


@pytest.mark.parametrize("bytes_of, wanted", [
    (lambda whole: b"", "block 1 at offset 0: the file is empty"),
    (lambda whole: b"no recording at all", "block 1 at offset 0: this is no pcapng file"),
    (lambda whole: whole[:100], "there is no recording of a node in it"),
    (lambda whole: whole[:4] + b"\x01" + whole[5:], "block 1 at offset 0: a block whose"),
])
def test_what_is_no_recording_is_refused_with_the_place(recording, pinlab, tmp_path, bytes_of, wanted):
    path = tmp_path / "bad.pcapng"
    path.write_bytes(bytes_of(recording.read_bytes()))
    result = replay(pinlab, path)
    result.expect(2)
    assert wanted in result.stderr and result.stdout == ""


def test_a_capture_of_the_lab_is_no_recording_of_a_node(recording, pinlab):
    result = replay(pinlab, recording.parent / "pair-port-restricted-symmetric.pcapng")
    result.expect(2)
    assert "there is no recording of a node in it" in result.stderr


def test_replay_takes_one_file(pinlab):
    for arguments in ([], ["a", "b"]):
        pinlab.run("replay", *arguments).expect(2)
    assert "cannot read /no/such" in pinlab.run("replay", "/no/such").stderr
