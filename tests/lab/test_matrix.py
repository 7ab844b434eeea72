# SPDX-License-Identifier: GPL-2.0-or-later
"""Every topology of the tree does what it says, with and without privileges, and a NAT that is not what its file says
fails."""

import json
import xml.etree.ElementTree as xml

import pytest

from conftest import KERNEL_TOPOLOGIES, MODEL_TOPOLOGIES, TOPOLOGIES, axes, story

LABELLED = """
[topology]
title = A NAT and what its file says of it
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = {behaviour}
{more}
[host alice]
behind = home
[host hub]
on = internet
[expect]
{expect}
"""

# Every connection gets a port of its own: symmetric, whatever the label says.
SYMMETRIC_RULES = """table ip home {
    chain c_post {
        type nat hook postrouting priority srcnat
        oifname $OUTSIDE masquerade fully-random
    }
    chain c_input {
        type filter hook input priority filter
        iifname $OUTSIDE ct state new drop
    }
}
"""


def test_there_are_at_least_twenty_two_topologies():
    assert len(TOPOLOGIES) >= 22


@pytest.mark.parametrize("topology", KERNEL_TOPOLOGIES, ids=lambda path: path.stem)
def test_topology_passes(pinlab, topology):
    cell, result = pinlab.cell(topology)
    if cell["verdict"] == "skip":
        pytest.skip("; ".join(cell["reasons"]))
    assert result.status == 0 and cell["verdict"] == "pass" and cell["reasons"] == [], story(cell)


@pytest.mark.parametrize("topology", TOPOLOGIES, ids=lambda path: path.stem)
def test_topology_teaches(topology):
    """A title, a paragraph, and an expectation."""
    text = topology.read_text(encoding="utf-8")
    assert "\ntitle = " in text and "[expect]" in text
    assert len([line for line in text.splitlines() if line.startswith("#") or line.startswith("about")]) >= 1


def test_the_whole_matrix_passes_without_privileges(nobody, shared):
    result = nobody.run("matrix", "--json", shared / "report.json", cwd=shared).expect(0)
    report = json.loads((shared / "report.json").read_text())
    assert len(report["cells"]) == len(TOPOLOGIES), result.text
    skipped = {cell["topology"] for cell in report["cells"] if cell["verdict"] == "skip"}
    assert skipped == {path.stem for path in MODEL_TOPOLOGIES}, result.text
    assert {cell["verdict"] for cell in report["cells"]} == {"pass", "skip"}, result.text


def test_each_cell_sets_the_judges_side_by_side(pinlab, write):
    cell, _ = pinlab.cell(write(LABELLED.format(behaviour="restricted", more="", expect="alice.class = restricted")))
    alice = cell["hosts"]["alice"]
    assert {judge: alice["class"][judge] for judge in ("expected", "certified", "claimed", "observed")} == {
        "expected": "restricted", "certified": "restricted", "claimed": None, "observed": "restricted",
    }
    assert axes(alice, "certified")["mapping"] == axes(alice, "observed")["mapping"] == "endpoint-independent"
    assert axes(cell["nats"]["home"], "observed")["filtering"] == "address-dependent"


def test_a_wrong_expectation_fails_and_the_truth_is_told(pinlab, write):
    path = write(LABELLED.format(behaviour="port-restricted", more="", expect="alice.class = full-cone"))
    cell, result = pinlab.cell(path, status=1)
    assert cell["verdict"] == "fail"
    assert any("full-cone" in reason and "port-restricted" in reason for reason in cell["reasons"]), cell["reasons"]


@pytest.mark.parametrize("label", ["full-cone", "restricted", "port-restricted"])
def test_a_mislabelled_nat_fails_and_the_truth_is_told(pinlab, write, tmp_path, label):
    (tmp_path / "symmetric.nft").write_text(SYMMETRIC_RULES)
    path = write(LABELLED.format(behaviour=label, more="rules = symmetric.nft", expect=f"alice.class = {label}"))
    cell, result = pinlab.cell(path, status=1)
    assert cell["verdict"] == "fail"
    reasons = " ".join(cell["reasons"])
    assert "home" in reasons and "endpoint-independent" in reasons and "address-and-port-dependent" in reasons, reasons
    assert axes(cell["nats"]["home"], "certified")["mapping"] == "address-and-port-dependent"


def test_a_rightly_labelled_nat_with_rules_of_its_own_passes(pinlab, write, tmp_path):
    (tmp_path / "symmetric.nft").write_text(SYMMETRIC_RULES)
    path = write(LABELLED.format(behaviour="symmetric", more="rules = symmetric.nft", expect="alice.class = symmetric"))
    pinlab.cell(path, status=0)


def test_a_failure_is_a_command_that_fails_again(pinlab, write):
    path = write(LABELLED.format(behaviour="port-restricted", more="", expect="alice.class = full-cone"))
    cell, result = pinlab.cell(path, status=1)
    words = cell["command"].split()
    assert words[:2] == ["pinlab", "run"] and "--seed" in words and str(cell["seed"]) in words
    again = pinlab.run(*words[1:]).expect(1)
    assert cell["command"] in again.text


def test_shards_partition_the_matrix(pinlab):
    names = []
    for shard in range(1, 4):
        # Which engine it is does not matter, and that one is soon through.
        result = pinlab.run("matrix", "--engine", "virtual", "--shard", f"{shard}/3", "--json", "-").expect(0)
        part = [cell["topology"] for cell in result.json()["cells"]]
        assert abs(len(part) - len(TOPOLOGIES) / 3) < 1
        names += part
    assert sorted(names) == sorted(path.stem for path in TOPOLOGIES)


def test_repeat_runs_each_topology_so_often(pinlab, write):
    path = write(LABELLED.format(behaviour="full-cone", more="", expect="alice.class = full-cone"))
    cells = pinlab.run("matrix", path, "--repeat", "3", "--json", "-").expect(0).json()["cells"]
    assert [cell["verdict"] for cell in cells] == ["pass"] * 3


def test_the_same_seed_gives_the_same_findings(pinlab, write):
    path = write(LABELLED.format(behaviour="symmetric", more="", expect="alice.class = symmetric"))
    first, second = (pinlab.cell(path, "--seed", 7, status=0)[0] for _ in range(2))
    for cell in (first, second):
        # The kernel's own random ports; which of them were seen is what differs.
        del cell["nats"]["home"]["axes"]["port-range"]
    assert first["nats"] == second["nats"] and first["hosts"] == second["hosts"]


def test_reports_can_be_read(pinlab, write, tmp_path):
    good = write(LABELLED.format(behaviour="full-cone", more="", expect="alice.class = full-cone"), "good.ini")
    bad = write(LABELLED.format(behaviour="full-cone", more="", expect="alice.class = restricted"), "bad.ini")
    files = {"--json": tmp_path / "report.json", "--junit": tmp_path / "junit.xml"}
    pinlab.run("matrix", good, bad, *(word for pair in files.items() for word in pair)).expect(1)
    report = json.loads(files["--json"].read_text())
    assert report["schema"] == 1
    assert {cell["topology"]: cell["verdict"] for cell in report["cells"]} == {"good": "pass", "bad": "fail"}
    assert (report["totals"]["passed"], report["totals"]["failed"], report["totals"]["skipped"]) == (1, 1, 0)
    cases = {case.get("name"): case for case in xml.parse(files["--junit"]).getroot().iter("testcase")}
    assert len(cases) == 2
    assert sorted(case.find("failure") is not None for case in cases.values()) == [False, True]


def test_junit_on_stdout_is_one_document_and_nothing_else(pinlab, tmp_path):
    result = pinlab.run("matrix", pinlab.topologies / "open.ini", "--junit", "-", cwd=tmp_path).expect(0)
    assert xml.fromstring(result.stdout).tag == "testsuites"
    assert not (tmp_path / "-").exists()


def test_json_on_stdout_is_one_object_and_nothing_else(pinlab, write):
    path = write(LABELLED.format(behaviour="full-cone", more="", expect="alice.class = full-cone"))
    assert pinlab.run("matrix", path, "--json", "-").expect(0).json()["totals"]["passed"] == 1
