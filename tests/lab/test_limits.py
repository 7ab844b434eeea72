# SPDX-License-Identifier: GPL-2.0-or-later
"""A limit of the machine that is reached for a moment is waited for, or a failure that names it; never a skip. A
recording that is cut short, and a report that cannot be written, are not kept."""

import pytest

from conftest import Pinlab

PLAIN = """[topology]
title = Anything
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = full-cone
[host alice]
behind = home
[host hub]
on = internet
"""


def limited(program, script, shell="bash"):
    """pinlab behind a script, as root of a user namespace."""
    return Pinlab(program.program, program.topologies,
                  ["unshare", "--user", "--map-root-user", "--mount", shell, "-c", script + ' && exec "$@"', shell])


def test_a_limit_that_is_reached_for_a_moment_is_waited_for(pinlab, write):
    """Each lab has a PID namespace of its own, so that at most three stand at a time."""
    few = limited(pinlab, "echo 3 >/proc/sys/user/max_pid_namespaces")
    totals = few.run("matrix", write(PLAIN), "--repeat", "8", "--jobs", "8", "--json", "-").expect(0).json()["totals"]
    assert (totals["passed"], totals["failed"], totals["skipped"]) == (8, 0, 0)


def test_a_limit_that_a_lab_meets_inside_is_a_failure_that_names_it(pinlab, write):
    few = limited(pinlab, "echo 3 >/proc/sys/user/max_net_namespaces")
    cell, _ = few.cell(write(PLAIN), status=1)
    assert cell["verdict"] == "fail"
    assert "user.max_net_namespaces" in cell["reasons"][0] and "--jobs" in cell["reasons"][0], cell["reasons"]


@pytest.mark.parametrize("script", ["mount -t tmpfs -o size=8k none {0}", "ulimit -f 4"], ids=["disk", "file size"])
def test_a_recording_that_is_cut_short_is_not_kept(pinlab, write, tmp_path, script):
    kept = tmp_path / "kept"
    kept.mkdir()
    # The file system is gone with its namespace, so what is in it is asked there.
    few = limited(pinlab, script.format(kept) + ' && "$@"; status=$?; ls ' + str(kept) + "; exit $status; true")
    result = few.run("run", write(PLAIN), "--pcap", kept).expect(1)
    assert ".pcapng" not in result.stdout.splitlines()[-1], result.text
    assert "signal" not in result.text and "cannot write the capture" in result.text, result.text
