# SPDX-License-Identifier: GPL-2.0-or-later
"""Paths between two hosts: every kind of NAT against every kind, and what any packets show on any engine."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from conftest import story

KINDS = ["open", "firewall", "full-cone", "restricted", "port-restricted", "symmetric", "symmetric-sequential",
         "symmetric-block", "double", "double-symmetric", "cgn", "udp-blocked"]

PATHS = {"direct", "punched", "relayed(hub)", "none(udp-blocked)"}

HOMES = """[topology]
title = Two homes
[network internet]
subnet = 203.0.113.0/24
[nat home-a]
outside = internet
inside = 192.168.1.0/24
behaviour = {a}
[nat home-b]
outside = internet
inside = 192.168.1.0/24
behaviour = {b}
[host alice]
behind = home-a
run = listen 5000
[host bob]
behind = home-b
run = listen 5000
[host carol]
on = internet
{steps}
[expect]
alice -> bob = {path}
"""

TO_BOB = "host alice send 5000 -> home-b:5000 this is alice, number {}"
TO_ALICE = "host bob send 5000 -> home-a:5000 this is bob, number {}"
TALK = [TO_BOB, TO_ALICE, TO_BOB, TO_ALICE]


def pairs(pinlab, *arguments, **keywords):
    return pinlab.run("matrix", "--pairs", "--engine", "virtual", "--json", "-", *arguments, **keywords).json()


def path_of(cell):
    path, = cell["paths"]
    assert (path["from"], path["to"]) == ("alice", "bob")
    return path


@pytest.mark.parametrize("engine", ["virtual", "kernel"])
def test_who_gets_nothing_out_is_waited_for_until_he_says_so(pinlab, engine):
    """His own class takes him 3 s, in which the other one has long ended to look for him."""
    cell = pinlab.run("run", "--pair", "open,udp-blocked", "--engine", engine, "--json", "-").json()
    said = [json.loads(line) for line in cell["hosts"]["bob"]["program"]["output"].splitlines()]
    assert ("classified", "udp-blocked") in [(line["event"], line.get("class")) for line in said]
    if engine == "virtual":
        assert len(said) == 1  # and no longer: after 5 s the hub is lost


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_N5_every_pair_gets_the_path_that_is_computed(pinlab, seed):
    report = pairs(pinlab, "--seed", seed)
    assert [cell["topology"] for cell in report["cells"]] == [f"pair-{a}-{b}" for a in KINDS for b in KINDS]
    for cell in report["cells"]:
        path = path_of(cell)
        assert cell["verdict"] == "pass", story(cell)
        assert path["observed"] in PATHS and path["observed"].startswith(path["expected"])
        # Who is looked for and cannot be at the hub is unknown to it.
        assert path["claimed"] in (path["observed"], "none(unknown-peer)"), cell["topology"]


def test_runs_with_other_seeds_do_not_differ(pinlab):
    report = pairs(pinlab, "open", "restricted", "port-restricted", "cgn", "udp-blocked", "--repeat", 10, "--seed", 1)
    assert report["totals"]["passed"] == 250 and report["totals"]["differing"] == 0


def test_a_cell_is_repeated_by_its_line_to_the_byte(pinlab):
    cell = pairs(pinlab, "port-restricted", "symmetric-block", "--seed", 11)["cells"][1]
    assert cell["command"] == "pinlab run --pair port-restricted,symmetric-block --engine virtual --seed 11"
    again = pinlab.run(*cell["command"].split()[1:], "--json", "-").json()
    assert again["paths"] == cell["paths"]
    assert again["packets_sha256"] == cell["packets_sha256"]
    assert again["capture_sha256"] == cell["capture_sha256"]


def test_the_grid_has_a_row_for_each_kind_and_a_word_for_each_pair(pinlab):
    lines = pinlab.run("matrix", "--pairs", "--engine", "virtual", "open", "port-restricted", "udp-blocked").stdout
    assert [line.split() for line in lines.splitlines()[:4]] == [
        ["1", "2", "3"],
        ["1", "open", "direct", "direct", "none"],
        ["2", "port-restricted", "direct", "punched", "none"],
        ["3", "udp-blocked", "none", "none", "none"],
    ]


def test_one_kind_by_itself_is_a_grid_as_well(pinlab):
    lines = pinlab.run("matrix", "--pairs", "--engine", "virtual", "port-restricted").expect(0).stdout.splitlines()
    assert [line.split() for line in lines[:2]] == [["1"], ["1", "port-restricted", "punched"]]


def test_a_report_for_ci_has_a_case_for_each_pair(pinlab, tmp_path):
    junit = tmp_path / "pairs.xml"
    pinlab.run("matrix", "--pairs", "--engine", "virtual", "open", "symmetric", "--junit", junit)
    names = [case.get("name") for case in ElementTree.parse(junit).iter("testcase")]
    assert names == ["pair-open-open", "pair-open-symmetric", "pair-symmetric-open", "pair-symmetric-symmetric"]


@pytest.mark.parametrize("arguments, wanted", [
    (["matrix", "--pairs", "symetric"], 'did you mean "symmetric"?'),
    (["matrix", "--pairs", "open", "open"], "open stands twice"),
    (["run", "--pair", "open"], "expected two kinds of NATs"),
    (["run", "--pair", "open,open,open"], "expected two kinds of NATs"),
    (["run", "--pair", "open,opn"], 'there is no kind of NAT "opn"'),
    (["run", "--pair", "open,open", "cgn"], "and no topology"),
])
def test_what_is_no_pair_is_refused(pinlab, arguments, wanted):
    result = pinlab.run(*arguments)
    result.expect(2)
    assert wanted in result.stderr


# Each path there is, and who gets it on the way of each strategy.
SOME = ["full-cone", "firewall", "symmetric", "symmetric-sequential", "cgn", "udp-blocked"]


def seen(report):
    return {cell["topology"]: (path_of(cell)["expected"], path_of(cell)["observed"]) for cell in report["cells"]}


@pytest.mark.parametrize("engine", ["kernel", "fabric"])
def test_real_nodes_get_the_same_paths(pinlab, engine):
    run = pinlab.run("matrix", "--pairs", "--engine", engine, "--seed", 1, "--json", "-", *SOME)
    report = run.json()
    if report["totals"]["skipped"]:
        pytest.skip("; ".join(report["cells"][0]["reasons"]))
    assert report["totals"]["passed"] == len(SOME) ** 2, [story(cell) for cell in report["cells"] if cell["verdict"] != "pass"]
    assert seen(report) == seen(pairs(pinlab, "--seed", 1, *SOME))


ENGINES = ["kernel", "fabric", "virtual"]


@pytest.mark.parametrize("engine", ENGINES)
def test_neighbours_are_seen_on_the_network_that_they_share(pinlab, engine, tmp_path):
    cell = pinlab.run("run", "neighbours", "--engine", engine, "--seed", 1, "--pcap", tmp_path, "--json", "-").json()
    if cell["verdict"] == "skip":
        pytest.skip("; ".join(cell["reasons"]))
    assert cell["verdict"] == "pass", story(cell)
    assert path_of(cell) == {"from": "alice", "to": "bob", "expected": "direct", "claimed": "direct", "observed": "direct"}


@pytest.fixture(params=ENGINES)
def talk(request, pinlab, write):
    """Two homes on each engine, the packets between them, and the cell."""
    def run(path, *said, a="port-restricted", b="port-restricted"):
        steps = "\n".join(f"[step {n}]\nat = 0s\ndo = {text.format(n)}" for n, text in enumerate(said, 1))
        topology = write(HOMES.format(a=a, b=b, path=path, steps=steps))
        cell, _ = pinlab.cell(topology, "--engine", request.param)
        if cell["verdict"] == "skip":
            pytest.skip("; ".join(cell["reasons"]))
        return cell

    return run


def test_packets_of_any_program_show_their_path(talk):
    cell = talk("punched", *TALK)
    assert cell["verdict"] == "pass", story(cell)
    assert path_of(cell) == {"from": "alice", "to": "bob", "expected": "punched", "claimed": None, "observed": "punched"}


def test_who_lets_everybody_in_is_dialled(talk):
    # Bob's mapping is there before anybody is to come in by it.
    cell = talk("direct", "host bob send 5000 -> carol:9 this opens a mapping", *TALK, b="full-cone")
    assert cell["verdict"] == "pass", story(cell)


def test_what_never_comes_is_no_path(talk):
    cell = talk("none", TO_BOB, TO_BOB)
    assert cell["verdict"] == "pass", story(cell)


def test_another_path_than_expected_is_a_failure_with_both(talk):
    cell = talk("relayed", *TALK)
    assert cell["verdict"] == "fail"
    assert "path alice -> bob: expected relayed, claimed nothing, observed punched" in cell["reasons"]
