# SPDX-License-Identifier: GPL-2.0-or-later
"""Many nodes at one hub, and many sockets for one node that may not have them."""

import json
import time

import pytest

from conftest import ENGINES, select_for
from test_kill import Mortal, descriptors
from test_node import Mesh, WORLD, talk

pytestmark = pytest.mark.usefixtures("our_pinlab")

WAIT_S = 100  # far more than anybody needs, for a machine that does much else
HOMES, EACH = 10, 4
COUNT = HOMES * EACH


def many():
    """Ten homes with four nodes in each; every node looks for the one three homes further."""
    text = WORLD.split("[nat west]")[0] + "[host hub]\non = internet\naddresses = 203.0.113.10, 203.0.113.11\n"
    for home in range(HOMES):
        text += f"[nat home-{home}]\noutside = internet\ninside = 10.0.{home}.0/24\nbehaviour = port-restricted\n"
        text += "".join(f"[host n{number}]\nbehind = home-{home}\n" for number in range(COUNT) if number % HOMES == home)
    return text


def said(program, kind):
    return [line for line in map(json.loads, program.output.splitlines()) if line["event"] == kind]


@pytest.mark.topology(many())
@pytest.mark.parametrize("engine", ENGINES)
def test_forty_nodes_at_one_hub_all_go_straight(lab, pinhole, place):
    lab.captures.stop()
    mesh = Mesh(lab, pinhole, place)
    nodes = []
    for number in range(COUNT):
        # All but three are looked for before they are there.
        nodes.append(lab.host(f"n{number}").popen(
            [pinhole, "node", "--hub", mesh.hub_words, "--name", f"n{number}", "--connect", f"n{(number + 3) % COUNT}"]))
    end = time.monotonic() + WAIT_S
    for number, node in enumerate(nodes):
        neighbours = {f"n{(number + 3) % COUNT}", f"n{(number - 3) % COUNT}"}
        while True:
            straight = {line["peer"] for line in said(node, "peer-path") if line["path"] in ("punched", "direct")}
            if straight == neighbours:
                break
            assert time.monotonic() < end and node.returncode is None, node.output
            select_for(0.05)
        assert not said(node, "hub-lost")


HARD = WORLD.format(west="symmetric", east="port-restricted")


@pytest.mark.topology(HARD)
@pytest.mark.parametrize("engine", ["kernel"])
@pytest.mark.parametrize("files", [10, 64, 1024])
def test_a_node_that_may_have_few_files_opens_fewer_sockets_and_goes_on(lab, pinhole, place, files):
    """alice would spread over 256 sockets; with fewer it is less likely that one of them is right."""
    mesh = Mesh(lab, pinhole, place)
    bob, alice = Mortal(mesh, "bob"), Mortal(mesh, "alice")
    alice.kill()
    alice.program = lab.host("alice").popen(
        ["sh", "-c", f'exec prlimit --nofile={files} "$@" 0<>"$0"', alice.fifo, pinhole, "node", "--hub", mesh.hub_words,
         "--name", "alice", "--key", alice.key, "--connect", "bob", "--fast"], ready='"registered"')
    usual, most = descriptors(bob.pid), 0
    for number in range(80):
        talk(alice, bob, "bob", f"there-{number}")
        talk(bob, alice, "alice", f"back-{number}")
        most = max(most, descriptors(alice.pid))
        select_for(0.05)
    status = alice.status()
    print(f"{files} files: {most} in use, {status}")
    assert most <= files and (files < 1024 or most > 256)
    assert status["peers"][0]["path"] in ("punched", "relayed") and status["peers"][0]["health"] == "healthy"
    # And afterwards none is left but one that the path may have.
    end = time.monotonic() + WAIT_S
    while descriptors(alice.pid) > usual + 1:
        assert time.monotonic() < end, alice.program.output
        select_for(0.1)
