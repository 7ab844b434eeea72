# SPDX-License-Identifier: GPL-2.0-or-later
"""What is put out arrives, or it is said that it did not; and nothing of the user's is overwritten."""

import os

import pytest

PLAIN = """[topology]
title = Anything
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
rules = home.nft
behaviour = full-cone
[host alice]
behind = home
[host hub]
on = internet
"""


@pytest.fixture
def here(tmp_path):
    """A directory with a topology and its rules."""
    (tmp_path / "case.ini").write_text(PLAIN)
    (tmp_path / "home.nft").write_text("table ip home {}\n")
    return tmp_path


def contents(directory):
    return {path.name: path.read_text() for path in directory.iterdir() if path.is_file()}


CONFLICTS = {
    "both reports": ["--json", "out", "--junit", "./out"],
    "both reports, by another way": ["--json", "out", "--junit", "sub/../out"],
    "a topology": ["--json", "case.ini"],
    "a topology, by another name": ["--junit", "link"],
    "rules": ["--json", "home.nft"],
    "a recording": ["--pcap", ".", "--json", "case.pcapng"],
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_an_output_that_is_another_file_is_refused(pinlab, here, name):
    (here / "sub").mkdir()
    (here / "link").hardlink_to(here / "case.ini")
    before = contents(here)
    result = pinlab.run("run", "case.ini", *CONFLICTS[name], cwd=here).expect(2)
    assert "expected a file of its own" in result.stderr, result.text
    assert contents(here) == before


def test_a_report_into_standard_output_is_refused(pinlab, here):
    with open(here / "out", "w", encoding="utf-8") as out:
        result = pinlab.run("run", "case.ini", "--json", "out", cwd=here, stdout=out)
    assert result.status == 2 and "is standard output" in result.stderr, result.stderr


def test_devices_may_be_given_twice(pinlab, here):
    (here / "case.ini").write_text(PLAIN.replace("rules = home.nft\n", ""))
    pinlab.run("run", "case.ini", "--json", "/dev/null", "--junit", "/dev/null", cwd=here).expect(0)


SPEAKING = {
    "list": ["list"],
    "help": ["--help"],
    "help of a command": ["run", "--help"],
    "version": ["--version"],
    "check": ["check", "--print", "TOPOLOGY"],
    "run": ["run", "TOPOLOGY"],
    "matrix in JSON": ["matrix", "TOPOLOGY", "--json", "-"],
}


@pytest.mark.parametrize("name", SPEAKING)
def test_standard_output_that_cannot_be_written_is_a_failure(pinlab, here, name):
    (here / "case.ini").write_text(PLAIN.replace("rules = home.nft\n", ""))
    words = [here / "case.ini" if word == "TOPOLOGY" else word for word in SPEAKING[name]]
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = pinlab.run(*words, stdout=full)
    assert result.status == 1 and "cannot write to standard output" in result.stderr, result.stderr
    closed = pinlab.run(*words, stdout=None, preexec_fn=lambda: os.close(1))
    assert closed.status == 1 and "cannot write to standard output" in closed.stderr, closed.stderr


def test_a_shard_without_a_topology_is_no_failure(pinlab, here):
    (here / "case.ini").write_text(PLAIN.replace("rules = home.nft\n", ""))
    result = pinlab.run("matrix", "case.ini", "--shard", "5/7", "--json", "-", "--no-skip", cwd=here).expect(0)
    assert result.json()["cells"] == [] and "no topology in this shard" in result.stderr
