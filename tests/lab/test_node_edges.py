# SPDX-License-Identifier: GPL-2.0-or-later
"""Nodes that are typed at, lied to, or started twice; hubs that are not there; and many of them."""

import subprocess
import time

import pytest

from conftest import ENGINES, select_for, type_in
from test_kill import Hub, Mortal, understood
from test_node import CONES, PUNCHED, Mesh, Node, talk
from test_pipes import await_name

pytestmark = pytest.mark.usefixtures("our_pinlab")

WAIT_S = 60  # far more than anybody needs, for a machine that does much else


@pytest.fixture
def mesh(lab, pinhole, place):
    return Mesh(lab, pinhole, place)


# What is typed, and the reason that is given; None: nothing is wrong with it.
ODD = [
    (b"\n\n\n", None),
    (b"hello\n", "no-such-command"),
    (b"connect\n", "no-such-command"),
    (b"send bob\n", "no-such-command"),
    (b"connect a b c\n", "no-such-command"),
    (b" connect bob\n", "no-such-command"),
    (b"connect bob\r\n", "not-a-peer"),
    (b"connect b/o/b\n", "not-a-peer"),
    (b"connect " + b"x" * 64 + b"\n", "not-a-peer"),
    (b"send b\xc3\x28b hello\n", "not-a-peer"),
    (b"disconnect nobody\n", None),
    (b"send bob " + b"x" * 1152 + b"\n", "too-long"),
    (b"\x00\x01\x02\xff\xfe\n", "no-such-command"),
    (bytes(range(256)) + b"\n", "no-such-command"),
    (b"y" * 100_000 + b"\n", "no-such-command"),
    (b"connect nobody\n", "unknown-peer"),
]


@CONES
def test_whatever_is_typed_is_answered_by_name_and_does_no_harm(mesh):
    alice, bob = mesh.pair()
    talk(bob, alice, "alice", "before")
    for number, (bytes_, reason) in enumerate(ODD):
        before = len(bob.events("error")) + len(bob.events("peer-gone"))
        type_in(bob.fifo, bytes_, bob.program)
        talk(bob, alice, "alice", f"after-{number}")
        if not reason:
            assert len(bob.events("error")) + len(bob.events("peer-gone")) == before
            continue
        kind = "peer-gone" if reason == "unknown-peer" else "error"
        end = time.monotonic() + WAIT_S
        while len(said := bob.events("error") + bob.events("peer-gone")) == before:
            assert time.monotonic() < end, bytes_
            select_for(0.01)
        assert bob.events(kind)[-1]["reason"] == reason and bob.events(kind)[-1]["sentence"], (bytes_, said[-1])
    # An empty text, the longest one, and what is no ASCII.
    for text in ("", "x" * 1151, "Grüße \U0001f600 \\ \" \t"):
        talk(bob, alice, "alice", text)
    type_in(bob.fifo, b"send alice \xff\xfe\n", bob.program)
    alice.await_event("data", text="\ufffd\ufffd")
    assert alice.events("peer-gone") == []


@CONES
def test_the_end_of_a_line_that_is_too_long_is_no_line(mesh):
    """It may be what somebody else has said."""
    alice, bob = mesh.pair()
    talk(bob, alice, "alice", "before")
    type_in(bob.fifo, b"send alice ".ljust(8192, b"x") + b"status\n", bob.program)
    bob.await_event("error", reason="too-long")
    talk(bob, alice, "alice", "after")
    assert bob.events("status") == [] and len(bob.events("error")) == 1


@CONES
def test_input_that_ends_is_no_reason_to_go(lab, mesh):
    alice = Node(mesh, "alice")
    program = lab.host("bob").popen(
        ["sh", "-c", 'printf "send alice no-newline" | "$@"', "sh", mesh.pinhole, "node", "--hub", mesh.hub_words])
    alice.await_event("data", text="no-newline")
    assert program.returncode is None


@CONES
def test_what_cannot_be_right_is_refused_before_anything_is_sent(lab, mesh):
    key, broken, where = mesh.hub_words.split("@")[0], mesh.place / "broken", "203.0.113.10"
    broken.write_text("not a key\n")
    broken.chmod(0o600)
    cases = [
        (["--hub", "hub"], 2, "expected a hub as KEY@HOST"),
        (["--hub", f"{key[:-2]}@{where}"], 2, "expected a hub as KEY@HOST"),
        (["--hub", f"@{where}"], 2, "expected a hub as KEY@HOST"),
        (["--hub", f"{key}@"], 2, "expected a server"),
        (["--hub", f"{key}@{where}:0"], 2, "expected a server"),
        (["--hub", f"{key}@{where}", "--name", "a b"], 2, "expected a name"),
        (["--hub", f"{key}@{where}", "--name", "x" * 64], 2, "expected a name"),
        (["--hub", f"{key}@{where}", "--key", mesh.place / "none"], 1, "No such file"),
        (["--hub", f"{key}@{where}", "--key", broken], 1, "broken"),
    ]
    for words, status, text in cases:
        for command in (["node"], ["ping", "alice"], ["pipe", "alice"]):
            done = lab.host("alice").run([mesh.pinhole, *command, *words], check=False)
            assert (done.returncode, done.stdout) == (status, "") and text in done.stderr, (command, words, done)
            assert done.stderr.startswith("pinhole: ") and done.stderr.count("\n") == 1, done.stderr
    assert not lab.captures.packets("udp.port == 3478 && frame.interface_name == \"west.inside\" && ip.src == 192.168.1.2")


@CONES
def test_a_hub_with_another_key_or_none_is_no_hub(lab, mesh):
    other = lab.host("bob").run([mesh.pinhole, "key", "new", mesh.place / "other.key"]).stdout.strip()
    mesh.hub_words = f"{other}@hub"
    node = lab.host("alice").popen([mesh.pinhole, "node", "--hub", mesh.hub_words, "--name", "alice"])
    done = mesh.run("bob", "ping", "alice", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("pinhole: alice: timeout: The hub does not answer")
    assert '"registered"' not in node.output and "The hub does not answer, or has another key" in node.output


@CONES
@pytest.mark.parametrize("engine", ENGINES)
def test_a_hub_that_is_not_there_yet_is_waited_for(mesh):
    hub = Hub(mesh)
    hub.kill()
    alice, bob = Mortal(mesh, "alice", ready=None), Mortal(mesh, "bob", "--connect", "alice", ready=None)
    for node in (alice, bob):
        node.await_event("hub-lost")
    hub.begin()
    for node in (alice, bob):
        node.await_event("registered", seconds=WAIT_S)
    bob.await_event("peer-path", peer="alice", path="punched", seconds=WAIT_S)
    talk(bob, alice, "alice", "at-last")
    assert alice.events("hub-lost")[0]["reason"] == "timeout"


@CONES
def test_a_name_is_its_first_owners_until_that_one_goes(lab, mesh):
    first = Node(mesh, "alice")
    second = lab.host("bob").popen([mesh.pinhole, "node", "--hub", mesh.hub_words, "--name", "alice"], ready='"name-taken"')
    done = mesh.run("hub", "ping", "--count", "1", "alice")
    assert done.returncode == 0 and second.returncode is None
    talk_to = Node(mesh, "bob")
    talk(talk_to, first, "alice", "it-is-me-still")
    second.stop()
    first.program.stop()  # with a goodbye: the name is free at once
    third = lab.host("bob").popen([mesh.pinhole, "node", "--hub", mesh.hub_words, "--name", "alice"], ready='"registered"')
    assert '"name-taken"' not in third.output


@pytest.mark.topology(PUNCHED.replace("[host alice]", "udp = blocked\n[host alice]"))
@pytest.mark.parametrize("command", ["ping", "pipe"])
def test_N16_who_cannot_send_is_told_that_it_is_udp(lab, mesh, command):
    blocked = lab.host("alice").popen([mesh.pinhole, command, "--hub", mesh.hub_words, "bob"],
                                      ready="the hub: ")
    assert blocked.output.startswith("pinhole: the hub: udp-blocked: No answer comes by UDP: ")
    blocked.stop()


@CONES
@pytest.mark.parametrize("words", [("node", "--connect", "b/o/b"), ("node", "--connect", "bob", "-c", ""), ("ping", "b/o/b"),
                                   ("pipe", "b/o/b")])
def test_what_is_no_peer_is_a_wrong_argument(mesh, words):
    done = mesh.run("alice", *words, check=False, input="")
    assert (done.returncode, done.stdout) == (2, "") and "expected a peer's name or its key" in done.stderr


@CONES
def test_a_key_has_the_name_that_it_had_last(mesh):
    alice, bob = Mortal(mesh, "alice"), Node(mesh, "bob")
    talk(bob, alice, "alice", "by-the-first-name")
    alice.kill()
    alice.options = ("--name", "alicia")  # the last of two counts
    alice.begin()
    understood(bob_of(bob), alice, "alicia", "by-the-second-name")
    gone = mesh.run("hub", "ping", "--count", "1", "alice", check=False)
    assert (gone.returncode, gone.stderr) == \
        (1, "pinhole: alice: unknown-peer: Nobody of this name or key is registered at the hub.\n")


def bob_of(node):
    node.name = "bob"
    return node


@CONES
def test_one_key_in_two_places_is_in_the_newest_and_nobody_is_flooded(lab, mesh):
    first, caller = Mortal(mesh, "alice"), Mortal(mesh, "bob")
    talk(caller, first, "alice", "to-the-first")
    start = time.monotonic()
    second = lab.host("bob").popen(
        [mesh.pinhole, "node", "--hub", mesh.hub_words, "--name", "alice", "--key", first.key, "--fast"], ready='"registered"')
    select_for(8)  # what they do to each other
    took = time.monotonic() - start
    times = sum(text.count('"registered"') for text in (first.program.output, second.output))
    assert times <= 3 + took, (first.program.output, second.output)
    assert first.program.returncode is None and second.returncode is None
    await_name(mesh, "alice")  # one ping may meet a change of places
    packets = len(lab.captures.packets('frame.interface_name == "hub" && udp.payload[0] == c1'))
    print(f"registered {times} times with {packets} requests in {took:.1f} s")
    assert packets < 20 * took
    second.stop()


@CONES
def test_more_peers_than_there_is_room_for_are_refused_by_name(mesh):
    alice, bob = Node(mesh, "alice"), Node(mesh, "bob")
    alice.say("connect bob")
    alice.await_event("peer-up", peer="bob")
    type_in(alice.fifo, b"".join(b"connect nobody-%d\n" % number for number in range(600)), alice.program)
    refused = alice.await_event("error")
    assert "room" in refused["sentence"], refused
    talk(alice, bob, "bob", "he-is-there-all-the-same")
    # All others are looked for, as often as the hub answers; and then there is room.
    end = time.monotonic() + WAIT_S
    while len(alice.events("peer-gone")) + len(alice.events("error")) < 600:
        assert time.monotonic() < end, alice.program.output[-3000:]
        select_for(0.1)
    assert {event["reason"] for event in alice.events("peer-gone")} == {"unknown-peer", "too-many"}
    alice.say("connect one-more")
    assert alice.await_event("peer-gone", peer="one-more")["reason"] in ("unknown-peer", "too-many")


@pytest.mark.parametrize("words", [["--greet", "hello"], ["--connect", "bob", "--greet", "x" * 1152]], ids=["nobody", "long"])
def test_a_greeting_that_cannot_be_said_is_refused(pinhole, words):
    ended = subprocess.run([pinhole, "node", "--hub", "sBhs5mBNAYgDjynx+LgfDMkYjLNTEmaetDCs2uY0b3I=@127.0.0.1:9", *words],
                           capture_output=True, text=True, check=False, timeout=20)
    assert (ended.returncode, ended.stdout) == (2, "") and "--greet TEXT is for --connect PEER" in ended.stderr
