# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures: tshark, which we did not write, reads each without a complaint, and they show packets as on a wire."""

import subprocess

import pytest

from conftest import ROOT

# One worker runs them all, since they share one matrix.
pytestmark = pytest.mark.xdist_group("captures")

TOPOLOGIES = sorted((ROOT / "topologies").glob("*.ini"))


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
    return {path.name.split(".")[0]: path for path in directory.rglob("*.pcapng")}


def interfaces_of(topology):
    """Both sides of every NAT, and every host that is not behind one, by the names of the format."""
    names, group = set(), None
    for line in topology.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            group = line.strip("[]").split(None, 1)
        if line.startswith("[nat "):
            names |= {f"{group[1]}.inside", f"{group[1]}.outside"}
    return names


@pytest.mark.parametrize("topology", TOPOLOGIES, ids=lambda path: path.stem)
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


def test_a_capture_begins_with_the_first_packet(captures):
    """Nothing on the outside of a NAT comes from an inside packet that the capture has not seen."""
    capture = captures["port-restricted"]
    outside = tshark(capture, "-Y", 'frame.interface_name == "home.outside" && udp', "-T", "fields", "-e", "udp.payload")
    inside = tshark(capture, "-Y", 'frame.interface_name == "home.inside" && udp', "-T", "fields", "-e", "udp.payload")
    assert inside and outside
