# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine in virtual time: the kernel's verdicts in a fraction of a second, the same bytes each time, whoever compiled
it."""

import os
import shutil
import subprocess

import pytest

from conftest import KERNEL_TOPOLOGIES, ROOT, TOPOLOGIES, Pinlab, story

# One worker runs them all, since they share the matrices.
pytestmark = pytest.mark.xdist_group("virtual")

DIGESTS = ("packets_sha256", "capture_sha256")

# Any value will do that the file allows, which is the verdict's to say.
FREE = ("external", "port-range")

# What strays there are, and whether something would have shown that one was taken in, depends on times (a request that is
# sent again on a busy machine, a late answer), and on ports that conntrack gives again for another destination: here a judge
# may see what the other one has not.
BY_CHANCE = ("unsolicited", "observed")

ROUGH = """[topology]
title = Everything that links can do
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = symmetric
[host alice]
behind = home
run = classify
[host hub]
on = internet
addresses = 203.0.113.10, 203.0.113.11
run = hub
[link alice]
delay = 20ms
jitter = 3ms
loss = 1%
duplicate = 1%
reorder = 1%
rate = 10mbit
[link home.outside]
mtu = 1400
[step 1]
at = 2s
do = nat home reboot
"""


def cells_of(pinlab, *arguments):
    report = pinlab.run("matrix", *TOPOLOGIES, "--seed", 7, "--json", "-", *arguments).json()
    return {cell["topology"]: cell for cell in report["cells"]}


@pytest.fixture(scope="module")
def virtual(pinlab):
    return cells_of(pinlab, "--engine", "virtual")


@pytest.fixture(scope="module")
def kernel(pinlab):
    return cells_of(pinlab)


def judgements(cell):
    """What each judge said, by (node, axis, judge)."""
    for kind in ("hosts", "nats"):
        for name, subject in cell[kind].items():
            axes = {**subject["axes"], "class": subject["class"], "external": subject["external"]}
            for axis, judges in axes.items():
                for judge in ("expected", "certified", "claimed", "observed"):
                    if judges[judge] is not None:
                        yield (name, axis, judge), judges[judge]


@pytest.mark.parametrize("name", [path.stem for path in KERNEL_TOPOLOGIES])
def test_the_model_is_judged_as_the_kernel_is(virtual, kernel, name):
    model, real = virtual[name], kernel[name]
    assert model["verdict"] == "pass", story(model)
    if real["verdict"] == "skip":
        pytest.skip("; ".join(real["reasons"]))
    found, wanted = dict(judgements(model)), dict(judgements(real))
    different = {
        key for key in found.keys() | wanted.keys()
        if ((found.get(key) is None) != (wanted.get(key) is None) and key[1:] != BY_CHANCE)
        or (key in found and key in wanted and found[key] != wanted[key] and key[1] not in FREE)
    }
    assert different == set()


def test_every_topology_runs_in_virtual_time(virtual):
    assert {cell["verdict"] for cell in virtual.values()} == {"pass"}


def test_a_run_is_repeated_by_its_line_to_the_byte(pinlab, virtual, tmp_path):
    name = "mixed-homes"
    command = virtual[name]["command"]
    assert "--engine virtual --seed 7" in command
    words = command.split()[1:]
    verdict = pinlab.run(*words, "--json", "-", "--pcap", tmp_path / "one").expect(0).json()
    assert [verdict[key] for key in DIGESTS] == [virtual[name][key] for key in DIGESTS]
    pinlab.run(*words, "--pcap", tmp_path / "two").expect(0)
    first, second = ((tmp_path / part / f"{name}.pcapng").read_bytes() for part in ("one", "two"))
    assert first == second and len(first) > 10000


def test_another_seed_is_another_run(pinlab, virtual):
    verdict = pinlab.run("run", "mixed-homes", "--engine", "virtual", "--seed", 8, "--json", "-").expect(0).json()
    for key in DIGESTS:
        assert verdict[key] != virtual["mixed-homes"][key]


def test_only_virtual_time_has_digests(kernel):
    assert {cell[key] for cell in kernel.values() for key in DIGESTS} == {None}


def builds():
    """The programs that tests/run has built, as preset: path; without it, only the one that is tested."""
    presets = os.environ.get("PINLAB_BUILDS", "").split()
    return {preset: ROOT / "build" / preset / "pinlab" for preset in presets}


@pytest.mark.skipif(len(builds()) < 2, reason="one build only (tests/run names those that it has made in PINLAB_BUILDS)")
def test_compilers_and_presets_agree_to_the_byte(write):
    rough = write(ROUGH, "rough.ini")
    seen = {}
    for preset, program in builds().items():
        pinlab = Pinlab(program, ROOT / "topologies")
        report = pinlab.run("matrix", *TOPOLOGIES, rough, "--engine", "virtual", "--seed", 11, "--json", "-").json()
        seen[preset] = {cell["topology"]: [cell[key] for key in DIGESTS] for cell in report["cells"]}
        assert all(seen[preset]["rough"]), story(report["cells"][-1])
    first = next(iter(seen))
    for preset, digests in seen.items():
        assert digests == seen[first], f"{preset} and {first} differ"


def test_a_recording_is_one_for_others(pinlab, tmp_path):
    """tshark finds no mistake in it: checksums, lengths, handshakes."""
    tshark = shutil.which("tshark")
    if not tshark:
        pytest.skip("tshark is not installed")
    pinlab.run("run", "two-homes", "--engine", "virtual", "--seed", 7, "--pcap", tmp_path).expect(0)
    shown = subprocess.run(
        [tshark, "-r", tmp_path / "two-homes.pcapng", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
         "-o", "tcp.check_checksum:TRUE", "-T", "fields", "-e", "frame.interface_name", "-e", "_ws.col.Protocol",
         "-e", "_ws.malformed", "-e", "_ws.expert.message"],
        check=True, capture_output=True, text=True, timeout=120, env={**os.environ, "HOME": str(tmp_path)})
    rows = [line.split("\t") for line in shown.stdout.splitlines()]
    assert {row[0] for row in rows} == {"home-a.inside", "home-a.outside", "home-b.inside", "home-b.outside", "hub"}
    assert {row[1] for row in rows} >= {"TCP", "ICMP", "STUN"}
    assert not [row for row in rows if row[2] or "hecksum" in row[3] or "alformed" in row[3]]


def test_who_wants_a_machine_is_told(pinlab):
    result = pinlab.run("up", "open", "--engine", "virtual").expect(2)
    assert "engine virtual has no machines to work on" in result.stderr
    result = pinlab.run("run", "open", "--engine", "virtual", "--names").expect(2)
    assert "--names: engine virtual has no namespaces to name" in result.stderr


def test_no_namespace_is_needed(pinlab):
    """In a user namespace that may not have any others."""
    limited = 'echo 0 > /proc/sys/user/max_net_namespaces; echo 0 > /proc/sys/user/max_pid_namespaces; exec "$@"'
    prefix = ["unshare", "--user", "--map-root-user", "bash", "-c", limited, "-"]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no user namespaces here")
    poor = Pinlab(pinlab.program, pinlab.topologies, prefix)
    assert poor.run("run", "open", "--seed", 7).status != 0
    poor.run("run", "open", "--engine", "virtual", "--seed", 7).expect(0)


LOSSY = """[topology]
title = A home on a line that loses
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = full-cone
hairpin = external-source
[host alice]
behind = home
[host hub]
on = internet
[link home.outside]
loss = 5%
"""


def test_a_nat_behind_a_line_that_loses_is_certified_all_the_same(pinlab, write):
    """One run in six failed when what was sent once was sent once."""
    pinlab.run("matrix", write(LOSSY), "--engine", "virtual", "--seed", 1, "--repeat", 40).expect(0)
