# SPDX-License-Identifier: GPL-2.0-or-later
"""How labs end: recordings are whole, and neither a lab that does not answer nor a recording that nobody reads keeps
anybody waiting for ever."""

import contextlib
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from conftest import ENGINES, LIMIT_SECONDS, ROOT, select_for
from workbench import Work, is_dead, labs, standing, start_capture, tshark

TOPOLOGY = ROOT / "topologies/port-restricted.ini"
ANSWER_SECONDS = 10  # so long a lab has to answer


@pytest.fixture(params=ENGINES)
def lab(pinlab, request):
    with standing(pinlab, TOPOLOGY, "--engine", request.param) as stands:
        yield stands


def assert_whole(process, path, n_echoes):
    """The capture command ended by itself; the file has the last packet and each interface's statistics."""
    _, said = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, said) == (0, "pinlab: the lab went down; the recording is whole\n")
    assert len(tshark(path, "-Y", "icmp")) == n_echoes
    blocks = block_types(path.read_bytes())
    assert blocks.count(INTERFACE) == blocks[-blocks.count(INTERFACE):].count(STATISTICS) > 0


INTERFACE, STATISTICS = 1, 5  # types of blocks, draft-ietf-opsawg-pcapng


def block_types(data):
    types, at = [], 0
    while at < len(data):
        types.append(int.from_bytes(data[at:at + 4], "little"))
        at += int.from_bytes(data[at + 4:at + 8], "little")
    assert at == len(data)
    return types


def test_a_recording_is_whole_when_its_lab_goes_down(lab, tmp_path):
    one, two = tmp_path / "one.pcapng", tmp_path / "two.pcapng"
    first, second = start_capture(lab, "home.outside", "-w", one), start_capture(lab, "-w", two)
    lab.exec("alice", "ping", "-c", "2", "-i", "0.01", "hub").expect(0)
    lab.pinlab.run("down", lab.name).expect(0)
    assert_whole(first, one, 4)
    assert_whole(second, two, 12)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_recording_is_whole_when_its_lab_is_interrupted(pinlab, tmp_path, how):
    lab = Work(pinlab, f"work-{uuid.uuid4().hex[:12]}")
    process = pinlab.start("up", TOPOLOGY, "--name", lab.name, "--foreground")
    assert process.stdout.readline() == f"{lab.name}\n"
    capture = start_capture(lab, "-w", tmp_path / "x.pcapng")
    lab.exec("alice", "ping", "-c", "1", "hub").expect(0)
    process.send_signal(how)
    assert process.wait(timeout=LIMIT_SECONDS) == 128 + how
    assert_whole(capture, tmp_path / "x.pcapng", 6)
    assert lab.name not in labs(pinlab)
    process.communicate()


def test_a_recording_that_nobody_reads_does_not_keep_a_lab_up(lab):
    """It cannot be written: the pipe is full."""
    process = start_capture(lab, "home.outside", "-w", "-")
    code = ("import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "for _ in range(400): s.sendto(bytes(1000), ('203.0.113.10', 4000))")
    lab.python("alice", code).expect(0)
    start = time.monotonic()
    lab.pinlab.run("down", lab.name).expect(0)
    assert time.monotonic() - start < 2 * ANSWER_SECONDS
    assert lab.name not in labs(lab.pinlab)
    assert process.wait(LIMIT_SECONDS) == 1 and f"lab {lab.name} is gone" in process.stderr.read()
    process.stdout.close()


@pytest.fixture
def stopped(pinlab):
    """A lab whose first process does not go on."""
    with standing(pinlab, TOPOLOGY) as lab:
        yield from stop(lab)


def stop(lab):
    (info,) = [info for info in lab.pinlab.run("labs", "--json").json()["labs"] if info["name"] == lab.name]
    (first,) = Path(f"/proc/{info['pid']}/task/{info['pid']}/children").read_text().split()
    lab.first = int(first)
    os.kill(lab.first, signal.SIGSTOP)
    yield lab
    with contextlib.suppress(ProcessLookupError):
        os.kill(lab.first, signal.SIGCONT)


def test_a_lab_that_does_not_answer_is_said_and_can_be_taken_down(stopped, tmp_path):
    start = time.monotonic()
    calls = [(["nat", stopped.name, "home", "table"], 1), (["output", stopped.name, "hub"], 1),
             (["exec", stopped.name, "alice", "--", "true"], 125),
             (["capture", stopped.name, "-w", tmp_path / "x.pcapng"], 1)]
    # Not into a pipe: the lab has been sent the other end of what exec has.
    with open(tmp_path / "said", "w+") as said:
        silent = [stopped.pinlab.start(*words, stdout=said, stderr=said) for words, _ in calls]
        assert [process.wait(LIMIT_SECONDS) for process in silent] == [status for _, status in calls]
        said.seek(0)
        assert said.read().count(f"lab {stopped.name} has not answered for") == len(calls)
    assert ANSWER_SECONDS <= time.monotonic() - start < 2 * ANSWER_SECONDS
    assert not (tmp_path / "x.pcapng").exists()
    stopped.pinlab.run("down", stopped.name).expect(0)
    assert stopped.name not in labs(stopped.pinlab)
    end = time.monotonic() + ANSWER_SECONDS
    while not is_dead(stopped.first):  # its parent was killed, and the kernel kills it for that
        assert time.monotonic() < end
        select_for(0.01)


def waits(process):
    """It has asked, and waits: in poll, with its signals caught."""
    while (Path(f"/proc/{process.pid}/syscall").read_text().split()[0] not in ("7", "73", "271")):
        assert process.poll() is None
        select_for(0.005)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_has_not_begun_can_be_interrupted(stopped, how):
    process = stopped.pinlab.start("exec", stopped.name, "alice", "--", "true", stdout=None, stderr=None)
    waits(process)
    process.send_signal(how)
    assert process.wait(ANSWER_SECONDS / 2) == 128 + how


def test_a_second_interrupt_ends_a_recording_that_does_not_stop(stopped, tmp_path):
    process = stopped.pinlab.start("capture", stopped.name, "-w", tmp_path / "x.pcapng")
    waits(process)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=ANSWER_SECONDS / 2)
    assert process.returncode == 128 + signal.SIGTERM


def test_a_second_interrupt_ends_a_lab_that_does_not_go_down(pinlab):
    name = f"work-{uuid.uuid4().hex[:12]}"
    process = pinlab.start("up", TOPOLOGY, "--name", name, "--foreground")
    assert process.stdout.readline() == f"{name}\n"
    (first,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(first), signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=ANSWER_SECONDS / 2)
    assert process.returncode == 130 and name not in labs(pinlab)


def test_two_that_take_a_lab_down_both_see_its_end(lab):
    """Whoever comes second finds it going, gone, or not there."""
    both = [lab.pinlab.start("down", lab.name) for _ in range(2)]
    for process in both:
        _, said = process.communicate(timeout=ANSWER_SECONDS)
        assert process.returncode == 0 or f"there is no lab {lab.name}" in said, said
    assert lab.name not in labs(lab.pinlab)
