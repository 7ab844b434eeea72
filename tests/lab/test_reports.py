# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command's end looks like: on a terminal, in a pipe, in reports."""

import os
import pty
import shutil
import struct
import xml.etree.ElementTree as xml
from fcntl import ioctl
from termios import TIOCSWINSZ

import pytest

from conftest import Pinlab

REFUSED = """[topology]
title = What the kernel engine cannot do
[network internet]
subnet = 203.0.113.0/24
[host alice]
on = internet
[host bob]
on = internet
[link alice]
delay = 10ms
"""

FAILING = """[topology]
title = A program that fails
[network internet]
subnet = 203.0.113.0/24
[host alice]
on = internet
run = sh -c 'echo my last words; exit 3'
ready = exit
[host bob]
on = internet
"""


def on_terminal(pinlab, columns, *arguments, env=None):
    """What a terminal of so many columns shows of standard output."""
    master, slave = pty.openpty()
    ioctl(slave, TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = pinlab.start(*arguments, stdout=slave, env={"NO_COLOR": "1", "COLUMNS": "", **(env or {})})
    os.close(slave)
    shown = b""
    try:
        while part := os.read(master, 65536):
            shown += part
    except OSError:  # the other end is closed
        pass
    os.close(master)
    process.communicate()
    return shown.decode().replace("\r\n", "\n")


def table(text):
    return text.split("\n\n")[0].splitlines()


def test_a_table_fits_its_terminal_and_is_whole_in_a_pipe(pinlab, write):
    name = "a-topology-with-a-name-of-a-length-that-no-sensible-person-would-choose-for-it"
    path = write(FAILING, f"{name}.ini")
    assert max(map(len, table(on_terminal(pinlab, 60, "matrix", path)))) <= 60
    assert max(map(len, table(on_terminal(pinlab, 60, "matrix", path, env={"COLUMNS": "70"})))) in range(61, 71)
    assert name in table(pinlab.run("matrix", path, env={"COLUMNS": "60"}).stdout)[1]


def test_forbidden_skips_are_failures_everywhere(pinlab, write, tmp_path):
    path = write(REFUSED)
    pinlab.run("matrix", path).expect(77)
    result = pinlab.run("matrix", path, "--no-skip", "--junit", tmp_path / "junit.xml").expect(1)
    assert "0 passed, 1 failed, 0 skipped: 1 cell " in result.stdout and "--no-skip\n" in result.stdout
    suite = xml.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("failures"), suite.get("skipped")) == ("1", "0")
    cell, _ = pinlab.cell(path, "--no-skip", status=1)
    assert cell["verdict"] == "fail"
    assert cell["reasons"] == ["skipped, and --no-skip: engine kernel cannot express link alice delay"]


def test_a_matrix_shows_what_the_failing_program_said(pinlab, write):
    assert "  | my last words\n" in pinlab.run("matrix", write(FAILING)).expect(1).stdout


def test_values_may_be_attached_to_short_options(pinlab, write, tmp_path):
    path = write(FAILING)
    cell, _ = pinlab.cell(path, "-j1", "-s7", "-r1", status=1)
    assert cell["seed"] == 7
    # What stands behind an option is its value, whatever it looks like.
    pinlab.run("matrix", path, "--pcap", "-p1", cwd=tmp_path).expect(1)
    assert (tmp_path / "-p1/case.pcapng").exists()
    assert "0x" in pinlab.run("matrix", path, "-j0x").expect(2).stderr
    assert "-j1" in pinlab.run("matrix", "--", "-j1").expect(2).stderr


def test_an_installed_program_looks_for_topologies_in_its_prefix(installed, nobody, shared):
    prefix = shared / "a/b/prefix"
    shutil.copytree(installed, prefix, symlinks=True)
    for decoy in (shared / "a/topologies", shared / "a/b/topologies"):
        decoy.mkdir()
        (decoy / "decoy.ini").write_text(REFUSED)
    moved = Pinlab(prefix / "bin/pinlab", prefix / "share/pinlab/topologies", nobody.prefix)
    result = moved.run("list", "decoy", cwd=shared).expect(2)
    assert str(prefix / "share/pinlab/topologies") in result.stderr and "a/b/topologies" not in result.stderr
    moved.run("list", "open", cwd=shared).expect(0)


@pytest.mark.parametrize("page", ["pinlab", "pinlab-list", "pinlab-check", "pinlab-run", "pinlab-matrix"])
def test_man_pages_know_each_other(installed, page):
    path = installed / f"share/man/man1/{page}.1"
    if not path.exists():
        pytest.skip("built without help2man")
    text = path.read_text().replace("\\-", "-")
    assert "exit status" in text.lower()
    see = text[text.index("SEE ALSO"):]
    for other in ("pinlab", "pinlab-list", "pinlab-check", "pinlab-run", "pinlab-matrix"):
        assert (f".BR {other} (1)" in see) == (other != page)
    assert "topology-format.md" in see
