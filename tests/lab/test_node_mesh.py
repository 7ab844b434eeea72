# SPDX-License-Identifier: GPL-2.0-or-later
"""Nodes that relay and introduce for each other, as processes: when the hub is gone, and when they are gone themselves."""

import time

import pytest

from conftest import ENGINES, select_for
from test_kill import Hub, Mortal, WAIT_S, settled, understood
from test_node import Mesh, WORLD

pytestmark = pytest.mark.usefixtures("our_pinlab")

# alice -- west -- internet -- east -- bob
#                  |     |
#                hub     mary, nora
FRIENDS = "[host mary]\non = internet\n[host nora]\non = internet\n"
RELAYED = WORLD.format(west="symmetric", east="symmetric") + FRIENDS


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def mesh(lab, pinhole, place):
    return Mesh(lab, pinhole, place)


def key_of(node):
    return node.await_event("registered")["key"]


def relayed_by(node, peer, key):
    """Waits until the node's table has the peer so."""
    end = time.monotonic() + WAIT_S
    while settled(node, peer, {"relayed"})["via"] != key:
        assert time.monotonic() < end, node.program.output
        select_for(0.1)


@pytest.mark.parametrize("topology", [RELAYED], ids=["relayed"])
def test_N7_N23_a_pair_goes_on_by_its_friends_when_its_hub_and_then_its_relay_is_killed(mesh):
    mary, nora = Mortal(mesh, "mary", "--relay"), Mortal(mesh, "nora", "--relay")
    bob = Mortal(mesh, "bob", "--connect", "mary", "--connect", "nora")
    alice = Mortal(mesh, "alice", "--connect", "mary", "--connect", "nora", "--connect", "bob")
    hub, friends = Hub(mesh), {key_of(mary): mary, key_of(nora): nora}
    hub_key = mesh.hub_words.split("@")[0]
    for node in (alice, bob):
        for friend in ("mary", "nora"):
            settled(node, friend, {"direct"})
    relayed_by(alice, "bob", hub_key)
    relayed_by(bob, "alice", hub_key)
    understood(alice, bob, "bob", "by-the-hub")
    hub.kill()
    understood(alice, bob, "bob", "by-a-friend")
    understood(bob, alice, "alice", "and-back")
    via = settled(alice, "bob", {"relayed"})["via"]
    relayed_by(bob, "alice", via)
    first = friends.pop(via)
    assert first.status()["counters"]["relayed"] > 0
    first.kill()
    (second,) = friends
    understood(alice, bob, "bob", "by-the-other-friend")
    understood(bob, alice, "alice", "and-back-again")
    relayed_by(alice, "bob", second)
    hub.begin()
    relayed_by(alice, "bob", hub_key)
    relayed_by(bob, "alice", hub_key)
    understood(alice, bob, "bob", "by-the-hub-again")
    for node, peer in ((alice, "bob"), (bob, "alice")):
        assert not node.events("peer-gone") or all(event["peer"] == first.name for event in node.events("peer-gone"))
        assert [event["peer"] for event in node.events("peer-up")].count(peer) == 1


@pytest.mark.parametrize("topology", [RELAYED], ids=["relayed"])
def test_a_friend_that_does_not_relay_carries_nothing(mesh):
    nora = Mortal(mesh, "nora")
    bob = Mortal(mesh, "bob", "--connect", "nora")
    alice = Mortal(mesh, "alice", "--connect", "nora", "--connect", "bob")
    hub = Hub(mesh)
    for node in (alice, bob):
        settled(node, "nora", {"direct"})
    understood(alice, bob, "bob", "by-the-hub")
    hub.kill()
    assert alice.await_event("peer-gone", peer="bob", seconds=WAIT_S)["reason"] == "timeout"
    assert nora.status()["counters"]["relayed"] == 0
    settled(alice, "nora", {"direct"})
