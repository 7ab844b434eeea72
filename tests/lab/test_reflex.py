# SPDX-License-Identifier: GPL-2.0-or-later
"""Reflex: what a hub says it sees is what the router's conntrack has, in labs that stand; packets are counted."""

import json

import pytest

pytestmark = pytest.mark.usefixtures("our_pinlab")

# Asks the hub N times from one socket, and says from which port, what the answer says, and where it came from.
ASK = """
import os, socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
for i in range(int(sys.argv[1])):
    s.sendto(struct.pack("!HHI", 1, 0, 0x2112A442) + os.urandom(12), ("203.0.113.10", 3478))
    answer, (host, port) = s.recvfrom(500)
    kind, length, seen_port, seen = struct.unpack("!HHxxHI", answer[20:32])
    seen = socket.inet_ntoa(struct.pack("!I", seen ^ 0x2112A442))
    print(s.getsockname()[1], f"{seen}:{seen_port ^ 0x2112}", f"{host}:{port}")
"""


@pytest.fixture(params=["full-cone", "restricted", "port-restricted", "symmetric"])
def topology(request):
    return request.param


@pytest.fixture
def home(lab, pinhole):
    """The lab, in which the hub serves."""
    lab.host("hub").popen([pinhole, "hub"], ready="ready")
    return lab


def inside_port(row):
    return row["inside"].rpartition(":")[2]


def test_N1_what_a_node_answers_is_what_the_routers_table_has(home):
    """Once and on demand: a question, an answer, and no packet more."""
    for times in (1, 3):
        said = home.host("alice").run(["/usr/bin/python3", "-c", ASK, times]).stdout.splitlines()
        assert len(said) == times and len(set(said)) == 1
        port, seen, hub = said[0].split()
        rows = [row for row in home.nat("home").table() if row["external"] == seen]
        assert [(row["remote"], inside_port(row)) for row in rows] == [(hub, port)]
    packets = home.captures.packets('udp && frame.interface_name == "home.outside"', ["ip.src", "udp.srcport"])
    answers = [row for row in packets if row == ("203.0.113.10", "3478")]
    assert len(answers) == 1 + 3 and len(packets) == 2 * len(answers)


def test_N1_a_classification_tells_an_address_that_the_router_has(home, pinhole):
    claimed = json.loads(home.host("alice").run([pinhole, "classify", "--server", "hub", "--json"]).stdout)
    rows = [row for row in home.nat("home").table() if row["external"] == claimed["external"]]
    assert rows and {inside_port(row) for row in rows} == {claimed["local"].rpartition(":")[2]}
