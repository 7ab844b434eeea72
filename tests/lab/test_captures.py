# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures: tshark, which we did not write, reads each without a complaint, and they show packets as on a wire."""

import subprocess

import pytest

from conftest import KERNEL_TOPOLOGIES

# One worker runs them all, since they share one matrix.
pytestmark = pytest.mark.xdist_group("captures")


def tshark(capture, *arguments):
    process = subprocess.run(
        ["tshark", "-n", "-r", str(capture), *arguments], capture_output=True, text=True, timeout=60, check=False)
    complaints = [line for line in process.stderr.splitlines() if not line.startswith("Running as user")]
    assert process.returncode == 0 and complaints == [], process.stderr
    return process.stdout.splitlines()


@pytest.fixture(scope="module")
def captures(pinlab, tmp_path_factory):
    """The captures of the whole matrix, by topology."""
    directory = tmp_path_factory.mktemp("captures")
    pinlab.run("matrix", "--pcap", directory)
    return {path.stem: path for path in directory.rglob("*.pcapng")}


def interfaces_of(topology):
    """Both sides of every NAT, and every host that is not behind one, by the names of the format."""
    names, group = set(), None
    for line in topology.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            group = line.strip("[]").split(None, 1)
        if line.startswith("[nat "):
            names |= {f"{group[1]}.inside", f"{group[1]}.outside"}
    return names


@pytest.mark.parametrize("topology", KERNEL_TOPOLOGIES, ids=lambda path: path.stem)
def test_tshark_reads_it_without_a_complaint(captures, topology):
    capture = captures[topology.stem]
    # A NAT may choose a port that tshark takes for some protocol's own: the probes are nobody's.
    frames = tshark(capture, "-d", "udp.port==1-65535,data", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
                    "-o", "tcp.check_checksum:TRUE", "-T", "fields", "-E", "separator=/t", "-e", "frame.interface_name",
                    "-e", "_ws.malformed", "-e", "ip.checksum.status", "-e", "udp.checksum.status",
                    "-e", "tcp.checksum.status", "-e", "frame.len", "-e", "frame.cap_len")
    assert frames
    seen = set()
    for frame in frames:
        name, malformed, ip, udp, tcp, length, kept = frame.split("\t")
        seen.add(name)
        assert malformed == "" and length == kept and int(length) <= 1514, frame
        # 0 is "bad". An ICMP error quotes a header whose checksum nobody keeps: the first one counts.
        assert all(status.split(",")[0] != "0" for status in (ip, udp, tcp)), frame
    assert interfaces_of(topology) <= seen


def test_the_interfaces_are_named_after_host_and_nat(pinlab, write, tmp_path):
    path = write("""[topology]
title = Names
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
""", "names.ini")
    pinlab.run("run", path, "--pcap", tmp_path / "captures").expect(0)
    (capture,) = (tmp_path / "captures").iterdir()
    assert capture.name.startswith("names") and capture.suffix == ".pcapng"
    names = subprocess.run(["capinfos", "-I", str(capture)], capture_output=True, text=True, check=True, timeout=60)
    listed = [line.split("=", 1)[1].strip() for line in names.stdout.splitlines() if line.strip().startswith("Name =")]
    assert sorted(listed) == ["home.inside", "home.outside", "hub"]


def payloads(capture, point, *match):
    """Of the UDP packets at one interface, in the order of time; those that an ICMP error quotes are none."""
    condition = " && ".join([f'frame.interface_name == "{point}"', "udp", "!icmp", *match])
    return tshark(capture, "-Y", condition, "-T", "fields", "-e", "udp.payload")


def test_whatever_went_out_was_seen_inside(captures):
    """And the first of each of the prober's runs, which begin with a datagram from inside, is there."""
    capture = captures["port-restricted"]
    inside = payloads(capture, "home.inside", "ip.src == 192.168.1.0/24")
    outside = payloads(capture, "home.outside", "ip.src == 203.0.113.2")
    assert outside and set(outside) <= set(inside)
    # "pinprobe", 8 bytes of the run, 4 of the datagram's number, 1 of the copy's.
    inside, outside = ([payload for payload in side if payload.startswith(b"pinprobe".hex())] for side in (inside, outside))
    runs = {payload[16:32] for payload in outside}
    firsts = {payload[16:32] for payload in inside if payload[32:] == "0000000000"}
    assert len(runs) == 2, "one before alice, one before her NAT"
    assert firsts == runs


def test_a_capture_begins_with_the_first_packet(pinlab, write, tmp_path):
    """What a program sends before anything else does is there, on both sides, before anything else."""
    path = write("""[topology]
title = A program that loses no time
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = port-restricted
[host alice]
behind = home
run = bash -c 'echo -n first >/dev/udp/203.0.113.10/9'
ready = exit
[host hub]
on = internet
address = 203.0.113.10
""", "first.ini")
    pinlab.run("run", path, "--pcap", tmp_path / "captures").expect(0)
    for point in ("home.inside", "home.outside", "hub"):
        assert payloads(tmp_path / "captures" / "first.pcapng", point)[0] == b"first".hex(), point
