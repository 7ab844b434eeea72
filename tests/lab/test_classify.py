# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinhole hub` and `pinhole classify` as real processes behind the lab's NATs: what is claimed is what was certified."""

import re
import subprocess

import pytest

from conftest import axes, claim

LAB = """[topology]
title = What alice says of her NAT
[network internet]
subnet = 203.0.113.0/24
[host hub]
on = internet
addresses = {addresses}
run = {hub}
{way}
run = {classify}
[expect]
{expect}
"""

BEHIND = """[nat home]
outside = internet
inside = 192.168.1.0/24
{nat}
[host alice]
behind = home"""

OPEN = """[host alice]
on = internet"""

FIREWALL = """[network office]
subnet = 198.51.100.0/24
[nat wall]
outside = internet
inside = office
behaviour = firewall
[host alice]
behind = wall"""

TWO = "203.0.113.10, 203.0.113.11"
DEPENDENCE = ["endpoint-independent", "address-dependent", "address-and-port-dependent"]


@pytest.fixture
def lab(pinlab, write):
    """Runs a topology whose hub and alice run these programs; returns the verdict's cell."""

    def run(way, hub="hub", addresses=TWO, classify="classify --server hub", expect=""):
        text = LAB.format(way=way, hub=hub, addresses=addresses, expect=expect, classify=classify)
        return pinlab.cell(write(text), status=0)[0]

    return run


def assert_agrees(cell, nat="home"):
    claimed, certified = claim(cell), axes(cell["nats"][nat], "certified")
    said = {axis: claimed[axis] for axis in ("mapping", "filtering")}
    assert said == {axis: certified[axis] for axis in said}
    assert claimed["class"] == cell["nats"][nat]["class"]["certified"], claimed
    return claimed, certified


CONSOLES = {"full-cone": 1, "restricted": 2, "port-restricted": 2, "symmetric": 3}


@pytest.mark.parametrize("preset", CONSOLES)
def test_G17_every_classic_nat_has_its_name_and_its_console_type(lab, preset):
    claimed, _ = assert_agrees(lab(BEHIND.format(nat=f"behaviour = {preset}")))
    assert claimed["class"] == preset
    assert claimed["console-type"] == CONSOLES[preset]
    assert claimed["sentence"].endswith(".")
    assert claimed["external"].split(":")[0] == "203.0.113.2"


@pytest.mark.parametrize("filtering", DEPENDENCE)
@pytest.mark.parametrize("mapping", DEPENDENCE)
def test_N2_every_cell_of_mapping_and_filtering_is_told(lab, mapping, filtering):
    claimed, _ = assert_agrees(lab(BEHIND.format(nat=f"mapping = {mapping}\nfiltering = {filtering}")))
    assert (claimed["mapping"], claimed["filtering"]) == (mapping, filtering)


@pytest.mark.parametrize("way, word", [(OPEN, "direct"), (FIREWALL, "firewall")], ids=["open", "firewall"])
def test_N2_G17_a_host_that_nothing_translates_says_so(lab, way, word):
    cell = lab(way, expect=f"alice.class = {word}")
    assert claim(cell)["class"] == cell["hosts"]["alice"]["class"]["certified"] == word
    assert claim(cell)["console-type"] == {"direct": 1, "firewall": 2}[word]


def test_N16_blocked_udp_is_an_answer_of_its_own(lab):
    cell = lab(BEHIND.format(nat="behaviour = port-restricted\nudp = blocked"))
    claimed = claim(cell)
    assert claimed["class"] == cell["hosts"]["alice"]["class"]["certified"] == "udp-blocked"
    assert "UDP" in claimed["why"]["class"] and "UDP" in claimed["sentence"] and claimed["console-type"] == 3


@pytest.mark.parametrize("filtering", DEPENDENCE)
def test_N3_a_wildcard_bind_behind_a_port_preserving_nat_is_not_direct(lab, filtering):
    """The port that is seen is the socket's own, and its address is none at all."""
    nat = f"mapping = endpoint-independent\nfiltering = {filtering}\nport-allocation = preserve"
    claimed, certified = assert_agrees(lab(BEHIND.format(nat=nat)))
    port = claimed["local"].removeprefix("0.0.0.0:")
    assert claimed["external"] == f"203.0.113.2:{port}" and certified["port-allocation"] == "preserve"
    assert claimed["class"] != "direct" and claimed["mapping"] == "endpoint-independent"


def test_a_hub_with_one_address_says_what_it_cannot_tell(lab):
    claimed = claim(lab(BEHIND.format(nat="behaviour = restricted"), addresses="203.0.113.10", expect="alice.class = unknown"))
    assert claimed["external"].split(":")[0] == "203.0.113.2"
    for axis in ("class", "mapping", "filtering"):
        assert claimed[axis] == "unknown" and claimed["why"][axis], claimed


def test_a_hub_with_one_port_tells_the_address(lab, pinhole):
    cell = lab(BEHIND.format(nat="behaviour = restricted"), hub=f"{pinhole} hub --one-port\nready = line ready",
               classify=f"{pinhole} reflex --server hub\nready = exit", expect="alice.output = 203.0.113.2:")
    assert cell["hosts"]["hub"]["program"]["output"] == "ready 203.0.113.10:3478 reflector-only\n"


def test_a_hub_with_one_address_tells_a_mapping_that_differs_by_port(lab):
    claimed, _ = assert_agrees(lab(BEHIND.format(nat="behaviour = symmetric"), addresses="203.0.113.10"))
    assert claimed["class"] == "symmetric"


def test_a_port_that_is_taken_is_one_clear_error(lab, pinhole):
    taken = f"sh -c '{pinhole} hub | {{ read line; {pinhole} hub; echo status $?; }}'"
    cell = lab(OPEN, hub=f"{taken}\nready = line status", classify="true")
    output = cell["hosts"]["hub"]["program"]["output"]
    assert re.fullmatch(r"pinhole: .*203\.0\.113\.10:3478.*Address already in use\nstatus 1\n", output), output


def test_a_hub_that_died_leaves_the_class_unknown_with_the_reason(lab, pinhole):
    dies = f"sh -c '{pinhole} hub & hub=$!; kill -KILL $hub; wait $hub; echo dead; exec sleep 600'"
    cell = lab(BEHIND.format(nat="behaviour = port-restricted"), hub=f"{dies}\nready = line dead",
               expect="alice.class = unknown")
    claimed = claim(cell)
    assert claimed["class"] == "unknown" and "nobody listens" in claimed["why"]["class"]


NONSENSE = """
import os, socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("203.0.113.10", 3478))
print("ready", flush=True)
while True:
    request, client = server.recvfrom(2048)
    transaction = request[4:20]
    server.sendto(b"", client)
    server.sendto(b"HTTP/1.1 200 OK", client)
    server.sendto(request, client)
    server.sendto(os.urandom(100), client)
    server.sendto(b"\\1\\1\\0\\4" + transaction + b"\\0\\x20\\xff\\xff", client)
    server.sendto(b"\\1\\1\\xff\\xfc" + transaction, client)
    server.sendto(b"\\1\\1\\0\\0" + transaction[:7], client)
    server.sendto(b"\\1\\1\\0\\0" + transaction, client)
"""


def test_a_server_that_answers_nonsense_is_not_believed(lab, write):
    write(NONSENSE, "nonsense.py")
    cell = lab(BEHIND.format(nat="behaviour = port-restricted"), hub="/usr/bin/python3 nonsense.py\nready = line ready",
               expect="alice.class = unknown")
    claimed = claim(cell)
    assert claimed["class"] == claimed["mapping"] == "unknown"
    assert claimed["external"] is None and claimed["why"]["class"]


@pytest.mark.parametrize("words, status", [
    (["classify"], 2), (["classify", "--server", ""], 2), (["classify", "--server", "hub:65536"], 2),
    (["classify", "--server", "127.0.0.1", "more"], 2), (["classify", "--server", "name.invalid"], 1),
    (["hub", "--listen", "here"], 2), (["hub", "--listen", "0.0.0.0"], 2), (["hub", "more"], 2),
    (["hub", "--listen", "127.0.0.1:1024", "--listen", "127.0.0.2:1025"], 2),
    (["hub", "--listen", "127.0.0.1", "--listen", "127.0.0.1"], 2),
    (["hub", "--listen", "127.0.0.1:1024", "--second-port", "1024"], 2),
    (["hub", "--listen", "192.0.2.1"], 1),
    (["hub", "--listen", "127.0.0.1", "--one-port", "--second-port", "5000"], 2),
    (["hub", "--listen", "127.0.0.1", "--listen", "127.0.0.2", "--one-port"], 2),
    (["hub", "--listen", "127.0.0.1", "--advertise", "here"], 2),
    (["hub", "--listen", "127.0.0.1", "--advertise", "192.0.2.1:3478"], 2),
    (["hub", "--listen", "127.0.0.1", "--advertise", "192.0.2.1", "--advertise", "192.0.2.2"], 2),
    (["hub", "--listen", "127.0.0.1", "--advertise", "2001:db8::1"], 2),
    (["hub", "--listen", "127.0.0.1", "--metrics", "often"], 2),
    (["reflex"], 2), (["reflex", "--server", ":1"], 2), (["reflex", "--server", "name.invalid"], 1),
    (["reflex", "--server", "127.0.0.1", "--port", "0"], 2), (["reflex", "--server", "127.0.0.1", "--port", "65536"], 2),
    (["lifetime"], 2), (["lifetime", "--server", "127.0.0.1", "--most", "5"], 2),
    (["lifetime", "--server", "127.0.0.1", "--most", "4999ms"], 2), (["lifetime", "--server", "a.invalid"], 1),
    (["watch"], 2), (["watch", "--server", ""], 2), (["watch", "--server", "127.0.0.1", "more"], 2),
    (["watch", "--server", "127.0.0.1", "--period", "0s"], 2), (["watch", "--server", "127.0.0.1", "--period", "-1s"], 2),
    (["watch", "--server", "127.0.0.1", "--period", "169h"], 2), (["watch", "--server", "127.0.0.1", "--period", ""], 2),
    (["watch", "--server", "127.0.0.1", "--reflex-period", "18446744073709551616ms"], 2),
    (["key"], 2), (["key", "old", "file"], 2), (["key", "new", "no/such/directory"], 1), (["key", "show", "/"], 1),
    (["nat"], 2), ([], 2),
], ids=lambda value: " ".join(value) if isinstance(value, list) else str(value))
def test_what_is_wrong_is_said_in_one_line(pinhole, words, status):
    said = subprocess.run([pinhole, *words], capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == status, said.stderr
    assert said.stdout == "" and re.fullmatch(r"pinhole: [^\n]+\n", said.stderr), said.stderr


def test_a_key_is_for_its_owner_alone(pinhole, tmp_path):
    path = tmp_path / "my.key"

    def key(word):
        return subprocess.run([pinhole, "key", word, path], capture_output=True, text=True, timeout=60, check=False)

    made = key("new")
    assert made.returncode == 0 and key("show").stdout == made.stdout and path.stat().st_mode & 0o7777 == 0o600
    assert key("new").returncode == 1
    path.chmod(0o644)
    refused = key("show")
    assert refused.returncode == 1 and "0644" in refused.stderr and not refused.stdout
