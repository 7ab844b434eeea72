# SPDX-License-Identifier: GPL-2.0-or-later
"""Names for `ip netns exec`: there while the lab stands, gone with it, and swept when it was killed."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import LIMIT_SECONDS, ROOT, gone, select_for

NETNS = Path("/run/netns")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make names")

# The program ends when somebody in the same namespace sends it a datagram.
TOPOLOGY = """
[topology]
title = A lab that waits
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.7.0/24
behaviour = port-restricted
[host alice]
behind = home
run = /usr/bin/python3 -c "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 4321)); s.recv(1)" {marker}
ready = exit
time-limit = 60s
[host hub]
on = internet
"""

SEND = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 4321))"


def names_of(lab):
    return sorted(path.name for path in NETNS.glob(f"{lab}.*"))


def start_and_wait(pinlab, path):
    """A run whose alice is bound to her port, as seen through her name."""
    process = pinlab.start("run", path, "--names", "--seed", "1")
    name = f"{path.stem}.alice"
    for _ in range(LIMIT_SECONDS * 100):
        seen = subprocess.run(["ip", "netns", "exec", name, "ss", "-Huln"], capture_output=True, text=True, timeout=10)
        if ":4321" in seen.stdout:
            return process
        assert process.poll() is None, process.communicate()
        select_for(0.01)
    process.kill()
    pytest.fail("alice never got ready")


@needs_root
def test_a_name_leads_into_the_hosts_namespace_and_goes_with_the_lab(pinlab, write):
    path = write(TOPOLOGY.format(marker="names-1"), "names-1.ini")
    process = start_and_wait(pinlab, path)
    assert names_of("names-1") == ["names-1.alice", "names-1.home", "names-1.hub"]
    seen = subprocess.run(["ip", "netns", "exec", "names-1.alice", "ip", "-4", "-o", "address"],
                          capture_output=True, text=True, timeout=10, check=True).stdout
    assert "192.168.7.2/24" in seen
    subprocess.run(["ip", "netns", "exec", "names-1.alice", "/usr/bin/python3", "-c", SEND], check=True, timeout=10)
    stdout, stderr = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 0, stdout + stderr
    assert names_of("names-1") == []


@needs_root
def test_what_a_killed_lab_left_of_names_the_next_command_removes(pinlab, write):
    path = write(TOPOLOGY.format(marker="names-2-unique"), "names-2.ini")
    process = start_and_wait(pinlab, path)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=LIMIT_SECONDS)
    assert not gone("names-2-unique")
    # Any other command on this machine may have been the next one.
    pinlab.run("run", "open").expect(0)
    assert names_of("names-2") == []


@needs_root
def test_a_name_that_another_lab_has_is_an_error(pinlab, write):
    path = write(TOPOLOGY.format(marker="names-3"), "names-3.ini")
    process = start_and_wait(pinlab, path)
    try:
        other = write(TOPOLOGY.format(marker="names-3b").replace("time-limit = 60s", "time-limit = 100ms"),
                      "other/names-3.ini")
        result = pinlab.run("run", other, "--names").expect(1)
        assert "another lab has that name" in result.text
        assert len(names_of("names-3")) == 3
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 130
    assert names_of("names-3") == []


@needs_root
def test_a_lab_in_another_pid_namespace_keeps_its_names(pinlab, write):
    path = write(TOPOLOGY.format(marker="names-4"), "names-4.ini")
    process = start_and_wait(pinlab, path)
    try:
        subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", *pinlab.command("run", "open")],
                       check=True, stdout=subprocess.DEVNULL, timeout=LIMIT_SECONDS)
        assert len(names_of("names-4")) == 3
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT_SECONDS)


@needs_root
def test_a_lab_to_work_in_has_names_too(pinlab):
    assert pinlab.run("up", "open", "--name", "names-5", "--names").expect(0).stdout == "names-5\n"
    try:
        assert names_of("names-5") == ["names-5.alice", "names-5.bob", "names-5.hub"]
        seen = subprocess.run(["ip", "netns", "exec", "names-5.hub", "ip", "-4", "-o", "address"],
                              capture_output=True, text=True, timeout=10, check=True).stdout
        assert "203.0.113.10/24" in seen
    finally:
        pinlab.run("down", "names-5").expect(0)
    assert names_of("names-5") == []


@needs_root
def test_every_run_of_a_repeated_lab_gets_its_names(pinlab):
    result = pinlab.run("run", "open", "--names", "--repeat", "3", "--json", "-").expect(0)
    assert result.json()["totals"]["passed"] == 3
    assert names_of("open") == []


@needs_root
def test_labs_that_end_take_nobody_elses_names_with_them(pinlab, write):
    """What they take are the directories that they find empty: so does this, without a pause, until it has taken one. In a
    PID namespace of its own, whose directory nobody else has names in."""
    state = Path("/run/pinlab")
    path = write((ROOT / "topologies/open.ini").read_text(encoding="utf-8"), "names-taken.ini")
    taken, end = 0, time.monotonic() + LIMIT_SECONDS
    while taken == 0:
        assert time.monotonic() < end, "no directory was ever found empty"
        process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", 'stat -L -c %i /proc/self/ns/pid >&2 && exec "$@"',
             "sh", *pinlab.command("run", path, "--names", "--repeat", "5")], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        own = state / process.stderr.readline().strip()
        while process.poll() is None:
            for directory in (own, state):
                try:
                    directory.rmdir()
                    taken += directory == own
                except OSError:
                    pass
        out, err = process.communicate()
        assert process.returncode == 0, (out, err)
    assert names_of("names-taken") == []


def test_names_need_root(nobody):
    result = nobody.run("run", "open", "--names").expect(2)
    assert "only root" in result.stderr
