# SPDX-License-Identifier: GPL-2.0-or-later
"""Stories told by packets: what steps send and hosts hear, the same on every engine with real hosts; and the tree's
lessons about what no kernel does."""

import pytest

from conftest import MODEL_TOPOLOGIES, ROOT, story

ENGINES = ["kernel", "fabric"]

LAB = """[topology]
title = What is sent, and who hears it
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = port-restricted
[host alice]
behind = home
run = listen 5000
[host peer]
on = internet
addresses = 203.0.113.20, 203.0.113.21
run = listen 7000 7001 7002
{steps}
[expect]
{expect}
"""

HELLO = "host alice send 5000 -> peer:7000 hello"


@pytest.fixture(params=ENGINES)
def tell(request, pinlab, write, tmp_path):
    """Runs a story and returns its cell, with what hosts put out by name."""
    def run(*steps, expect, status=0, more=""):
        groups = "\n".join(f"[step {n}]\nat = 0s\ndo = {step}" for n, step in enumerate(steps, 1))
        path = write(LAB.format(steps=more + groups, expect=expect))
        cell, _ = pinlab.cell(path, "--engine", request.param, "--pcap", tmp_path / "captures")
        if cell["verdict"] == "skip":
            pytest.skip("; ".join(cell["reasons"]))
        assert cell["verdict"] == ("pass" if status == 0 else "fail"), story(cell)
        return cell, {name: host["program"] for name, host in cell["hosts"].items()}

    return run


def lines(program):
    return program["output"].splitlines()


def test_each_address_and_port_is_heard_in_the_order_of_the_packets(tell):
    steps = [f"host alice send 5000 -> 203.0.113.{20 + n % 2}:{7000 + n % 3} {n}" for n in range(30)]
    _, programs = tell(*steps, expect="peer.output = : 29")
    assert lines(programs["peer"]) == ["ready"] + [f"{7000 + n % 3} from 203.0.113.2:5000: {n}" for n in range(30)]


def test_any_byte_is_sent_and_heard(tell):
    text = "".join(f"\\x{n:02x}" for n in range(256))
    _, programs = tell(f"host alice send 5000 -> peer:7000 {text}", "host alice send 5000 -> peer:7001",
                       expect="peer.output = 7001 from 203.0.113.2:5000:")
    printable = "".join(chr(n) if 32 <= n < 127 and n != 92 else f"\\x{n:02x}" for n in range(256))
    assert lines(programs["peer"])[1] == f"7000 from 203.0.113.2:5000: {printable}"
    assert programs["peer"]["output"].splitlines(keepends=True)[2] == "7001 from 203.0.113.2:5000: \n"


def test_what_is_longer_than_a_packet_is_heard_whole(tell):
    _, programs = tell(HELLO, f"host peer send 7000 -> home:5000 {'x' * 4000}y", expect="alice.output = xy")
    assert lines(programs["alice"])[1] == f"5000 from 203.0.113.20:7000: {'x' * 4000}y"


def test_sending_from_a_port_takes_nothing_from_who_listens_there(tell):
    tell(HELLO, "host peer send 7000 -> home:5000 one", "host alice send 5000 -> peer:7000 two",
         "host peer send 7000 -> home:5000 three",
         expect="peer.hears = hello, two\nalice.hears = 5000 from 203.0.113.20:7000: one, three")


def test_a_closed_port_ends_nothing(tell):
    tell("host alice send 5000 -> peer:9 is anybody there?", HELLO, "host peer send 7000 -> home:5000 back",
         expect="peer.hears = hello\nalice.hears = back")


def test_who_listens_answers_nothing(tell):
    """What was sent out of turn would have been let in."""
    tell(HELLO, "host alice send 5000 -> peer:7001 hello", expect="peer.hears = 7000, 7001\nalice.hears = nothing")


def test_what_is_not_heard_fails_by_name(tell):
    cell, _ = tell(HELLO, "nat home flush", "host peer send 7000 -> home:5000 late",
                   "host alice send 5000 -> peer:7000 again", expect="alice.hears = nothing\npeer.hears = hello",
                   status=1)
    assert cell["reasons"] == ['host peer: heard "7000 from 203.0.113.2:5000: again", too (expected hello)']


def test_listening_ends_when_it_is_killed(tell):
    _, programs = tell(HELLO, "host peer kill", "host alice send 5000 -> peer:7000 late",
                       expect="peer.exit = 137\nalice.hears = nothing")
    assert programs["peer"]["exit"] == 137


def test_a_step_without_a_route_fails_by_name(tell):
    cell, _ = tell("host peer send 7000 -> 198.51.100.1:53 far", expect="alice.hears = nothing", status=1)
    assert cell["reasons"] == ["[step 1]: host peer cannot send to 198.51.100.1:53: Network is unreachable"]


CAFE = """[nat cafe]
outside = internet
inside = 192.168.1.0/24
behaviour = full-cone
address = 203.0.113.9
[host guest]
behind = cafe
"""


def test_who_moves_while_his_link_is_down_is_there_when_it_is_up(tell):
    _, programs = tell("link alice down", "host alice move cafe", "link alice up", "host alice move home",
                       "host alice send 5000 -> peer:7000 home", "host alice move cafe", "host alice send 5000 -> peer:7000 away",
                       expect="peer.output = : away", more=CAFE)
    assert lines(programs["peer"]) == ["ready", "7000 from 203.0.113.2:5000: home", "7000 from 203.0.113.9:5000: away"]


@pytest.mark.parametrize("topology", [ROOT / f"topologies/{name}.ini"
                                      for name in ("address-change", "link-flap", "router-reboot")] + MODEL_TOPOLOGIES,
                         ids=lambda path: path.stem)
def test_a_lesson_comes_true_under_real_programs(pinlab, topology):
    cell, _ = pinlab.cell(topology, "--engine", "fabric")
    if cell["verdict"] == "skip":
        pytest.skip("; ".join(cell["reasons"]))
    assert cell["verdict"] == "pass", story(cell)


@pytest.mark.parametrize("topology", MODEL_TOPOLOGIES, ids=lambda path: path.stem)
def test_the_kernel_says_what_it_cannot_do(pinlab, topology):
    cell, _ = pinlab.cell(topology, status=77)
    assert cell["verdict"] == "skip" and cell["reasons"]
    for reason in cell["reasons"]:
        assert reason.startswith(("engine kernel cannot express nat ", "engine kernel cannot express link ")), reason
