# SPDX-License-Identifier: GPL-2.0-or-later
"""pinlab capture: recordings of a lab, as they go and whole at the end."""

import signal
import subprocess

import pytest

from conftest import LIMIT_SECONDS, select_for
from workbench import start_capture, tshark


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_capture_is_whole_however_it_ends(work, tmp_path, how):
    path = tmp_path / "x.pcapng"
    process = start_capture(work, "home.outside", "-w", path)
    work.exec("alice", "ping", "-c", "2", "-i", "0.01", "hub").expect(0)
    process.send_signal(how)
    process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == (0 if how != signal.SIGKILL else -9)
    end = 500
    while len(echoes := tshark(path, "-Y", "icmp")) < 4 and (end := end - 1):
        select_for(0.01)
    assert len(echoes) == 4 and "203.0.113.2" in echoes[0]


def test_a_capture_into_a_pipe_shows_packets_at_once(work):
    process = start_capture(work, "home.outside", "home.inside", "-w", "-")
    reader = subprocess.Popen(["tshark", "-n", "-l", "-r", "-", "-Y", "icmp", "-T", "fields", "-e", "ip.src"],
                              stdin=process.stdout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    process.stdout.close()
    work.exec("alice", "ping", "-c", "1", "hub").expect(0)
    seen = [reader.stdout.readline().strip() for _ in range(4)]
    assert sorted(seen) == ["192.168.1.2", "203.0.113.10", "203.0.113.10", "203.0.113.2"]
    reader.kill()
    reader.communicate(timeout=LIMIT_SECONDS)
    # Nobody reads any more: it ends, without waiting for a packet.
    assert process.wait(timeout=LIMIT_SECONDS) == 0


def test_without_interfaces_all_are_captured(work, tmp_path):
    process = start_capture(work, "-w", tmp_path / "all.pcapng")
    work.exec("alice", "ping", "-c", "1", "hub").expect(0)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT_SECONDS)
    assert set(tshark(tmp_path / "all.pcapng", "-Y", "icmp", "-T", "fields", "-e", "frame.interface_name")) == {
        "home.inside", "home.outside", "hub"}


def test_what_cannot_be_captured_is_said(work, tmp_path):
    nix = work.pinlab.run("capture", work.name, "nix", "-w", tmp_path / "x").expect(2)
    assert "no interface nix (there are: home.inside, home.outside, alice, hub)" in nix.stderr
    assert "twice" in work.pinlab.run("capture", work.name, "hub", "hub", "-w", tmp_path / "x").expect(2).stderr
    assert not (tmp_path / "x").exists()
    assert "cannot write" in work.pinlab.run("capture", work.name, "hub", "-w", tmp_path / "no/x").expect(2).stderr


def test_a_recording_is_kept_until_another_takes_its_place(work, tmp_path):
    path = tmp_path / "precious.pcapng"
    precious = b"precious" * 100_000
    path.write_bytes(precious)
    work.pinlab.run("capture", "nix", "-w", path).expect(2)
    work.pinlab.run("capture", work.name, "nix", "-w", path).expect(2)
    assert path.read_bytes() == precious
    path.write_bytes(b"")
    work.pinlab.run("capture", work.name, "nix", "-w", path).expect(2)
    assert path.exists()
    path.write_bytes(precious)
    process = start_capture(work, "home.outside", "-w", path)
    work.exec("alice", "ping", "-c", "1", "hub").expect(0)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=LIMIT_SECONDS) == 0
    assert len(tshark(path, "-Y", "icmp")) == 2


def test_a_recording_that_cannot_be_written_ends(work):
    full = work.pinlab.run("capture", work.name, "home.outside", "-w", "/dev/full").expect(1)
    assert "cannot write the capture: No space left on device" in full.stderr and "recording\n" not in full.stderr


def test_a_file_called_as_standard_output_is_not_touched(work, tmp_path):
    (tmp_path / "-").write_bytes(b"")
    with open(tmp_path / "out", "wb") as out:
        work.pinlab.run("capture", work.name, "nix", "-w", "-", cwd=tmp_path, stdout=out).expect(2)
    assert (tmp_path / "-").exists() and (tmp_path / "out").exists()


def test_a_reader_that_has_seen_enough_ends_a_capture(work):
    """As on the command line: both end by themselves, with 0, while packets go on."""
    ping = work.pinlab.start("exec", work.name, "alice", "--", "ping", "-i", "0.02", "hub")
    script = '"$@" | tshark -n -r - -c 3 -T fields -e frame.interface_name; echo "${PIPESTATUS[@]}"'
    capture = work.pinlab.command("capture", work.name, "home.outside", "-w", "-")
    done = subprocess.run(["bash", "-c", script, "bash", *capture], capture_output=True, text=True, check=True,
                          timeout=LIMIT_SECONDS)
    ping.send_signal(signal.SIGINT)
    ping.communicate(timeout=LIMIT_SECONDS)
    assert done.stdout.split("\n") == ["home.outside"] * 3 + ["0 0", ""], done
