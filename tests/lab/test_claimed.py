# SPDX-License-Identifier: GPL-2.0-or-later
"""The fourth column: what libpinhole's own programs claim stands beside what the file expects, the prober certified and
the wire shows; and what goes wrong with them has a name."""

import json
import os
import re
import shutil
import tempfile
import uuid
from pathlib import Path

import pytest

from conftest import KERNEL_TOPOLOGIES, ROOT, Pinlab, axes, find_pinlab, story

# One worker runs them all, since they share one matrix.
pytestmark = pytest.mark.xdist_group("claimed")

CLAIMED = ("class", "external", "mapping", "filtering", "udp", "port-allocation", "pooling", "hairpin")

# Whose class is expected and who is not asked, with the reason that the file has: a program of its own, a port that is
# shared, or being the hub.
NOT_ASKED = {("link-flap", "alice"), ("linux-router", "bob"), ("two-homes-routed", "hub")}

HOME = """[topology]
title = What alice says of her NAT
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = port-restricted
[host alice]
behind = home
run = {alice}
[host hub]
on = internet
{hub}
[expect]
alice.class = {expect}
"""

TWO = "addresses = 203.0.113.10, 203.0.113.11\nrun = hub"
ONE = "addresses = 203.0.113.10\nrun = hub"
NONE = "addresses = 203.0.113.10, 203.0.113.11"


def home(alice="classify", hub=TWO, expect="port-restricted"):
    return HOME.format(alice=alice, hub=hub, expect=expect)


@pytest.fixture(scope="module")
def matrix(pinlab):
    """The cells of the whole matrix, by topology."""
    result = pinlab.run("matrix", "--json", "-").expect(0)
    return {cell["topology"]: cell for cell in result.json()["cells"]}


def judgements(subject):
    return {"class": subject["class"], "external": subject["external"], **subject["axes"]}


def agrees(found, claim):
    """A judge that found nothing has no opinion; a list has all that are possible."""
    return found is None or claim in found.split(", ")


@pytest.mark.parametrize("topology", KERNEL_TOPOLOGIES, ids=lambda path: path.stem)
def test_what_is_claimed_agrees_with_all_others(matrix, topology):
    cell = matrix[topology.stem]
    for name, subject in {**cell["hosts"], **cell["nats"]}.items():
        for axis, judges in judgements(subject).items():
            if judges["claimed"] is None:
                assert judges["expected"] is None or "claimed" not in judges.get("why", {}), (name, axis, judges)
                continue
            assert axis in CLAIMED, (name, axis)
            # Of several external addresses each judge may have met others.
            others = ("expected",) if axis == "external" else ("expected", "certified", "observed")
            for judge in others:
                assert agrees(judges[judge], judges["claimed"]), (name, axis, judges)


@pytest.mark.parametrize("topology", KERNEL_TOPOLOGIES, ids=lambda path: path.stem)
def test_every_host_with_a_class_is_asked(matrix, topology):
    cell = matrix[topology.stem]
    expected = set(re.findall(r"^([a-z0-9-]+)\.class = ", topology.read_text(encoding="utf-8"), re.M))
    asked = {name for name, host in cell["hosts"].items() if host["class"]["claimed"]}
    assert asked == {host for host in expected & set(cell["hosts"]) if (topology.stem, host) not in NOT_ASKED}
    for name in asked:
        claimed = axes(cell["hosts"][name], "claimed")
        blocked = cell["hosts"][name]["class"]["claimed"] == "udp-blocked"
        assert set(claimed) == ({"udp"} if blocked else {"udp", "mapping", "filtering"}), name


# What a NAT's file can decide and its one host can tell.
@pytest.mark.parametrize("topology, nat, axis, word", [
    ("symmetric", "home", "port-allocation", "random"), ("symmetric-sequential", "home", "port-allocation", "sequential"),
    ("cgn", "cgn", "port-allocation", "block"), ("cgn-exhausted", "cgn", "port-allocation", "block"),
    ("port-restricted", "home", "port-allocation", "preserve"), ("pooled-arbitrary", "office", "pooling", "arbitrary"),
    ("pooled-paired", "office", "pooling", "paired"), ("hairpin-none", "home", "hairpin", "none"),
    ("hairpin-internal-source", "home", "hairpin", "internal-source"),
    ("hairpin-external-source", "home", "hairpin", "external-source"),
    ("mapping-ad-filtering-ei", "home", "mapping", "address-dependent"), ("firewall", "wall", "mapping", "none"),
    ("udp-blocked", "home", "udp", "blocked"),
])
def test_a_host_speaks_for_its_nat(matrix, topology, nat, axis, word):
    assert axes(matrix[topology]["nats"][nat], "claimed")[axis] == word


def test_nobody_speaks_for_two_nats_at_once(matrix):
    assert axes(matrix["double-nat"]["nats"]["modem"], "claimed") == {}
    assert axes(matrix["double-nat"]["nats"]["router"], "claimed") == {}


def reasons(pinlab, path, status=1):
    cell, _ = pinlab.cell(path, status=status)
    return cell, "\n".join(cell["reasons"])


def test_a_hub_that_is_not_there_fails_with_the_reason(pinlab, write):
    cell, why = reasons(pinlab, write(home("classify --server hub", NONE)))
    assert re.search(r"host alice: class: expected port-restricted, .*claimed nothing \(nobody listens", why), story(cell)


def test_a_hub_that_stays_silent_is_claimed_to_be_blocked_udp(pinlab, write):
    cell, why = reasons(pinlab, write(home("classify --server 203.0.113.99", NONE)))
    assert re.search(r"host alice: class: expected port-restricted, .*claimed udp-blocked", why), story(cell)


def test_what_a_classification_does_not_know_fails_with_its_reason(pinlab, write):
    cell, why = reasons(pinlab, write(home(hub=ONE)))
    assert "claimed nothing (the reflector has only one address)" in why, story(cell)
    assert cell["hosts"]["alice"]["class"]["why"]["claimed"] == "the reflector has only one address"
    assert cell["hosts"]["alice"]["external"]["claimed"] == "203.0.113.2"


OPEN = """[topology]
title = What alice says, who has no NAT
[network internet]
subnet = 203.0.113.0/24
[host alice]
on = internet
run = classify --server {server}
[host hub]
on = internet
{hub}
{expect}
"""


@pytest.mark.parametrize("server, hub, claimed", [
    ("hub", NONE, "nothing (nobody listens"), ("203.0.113.99", TWO, "udp-blocked"), ("hub", ONE, "nothing (the reflector has"),
])
def test_a_host_without_a_nat_has_to_know_it(pinlab, write, server, hub, claimed):
    cell, why = reasons(pinlab, write(OPEN.format(server=server, hub=hub, expect="")))
    assert f"host alice: class: expected direct, certified direct, claimed {claimed}" in why, story(cell)


def test_a_host_without_a_nat_is_direct_or_what_the_file_says(pinlab, write):
    cell, _ = pinlab.cell(write(OPEN.format(server="hub", hub=TWO, expect="")), status=0)
    assert set(cell["hosts"]["alice"]["class"].values()) == {"direct"}, story(cell)
    unknown = "[expect]\nalice.class = unknown"
    cell, _ = pinlab.cell(write(OPEN.format(server="hub", hub=NONE, expect=unknown)), status=0)
    assert cell["hosts"]["alice"]["class"]["claimed"] is None, story(cell)


def test_what_is_not_to_be_known_may_be_unknown(pinlab, write):
    cell, _ = pinlab.cell(write(home(hub=ONE, expect="unknown")), status=0)
    assert axes(cell["nats"]["home"], "claimed") == {}
    cell, why = reasons(pinlab, write(home(expect="unknown")))
    assert re.search(r"host alice: class: expected unknown, .*claimed port-restricted", why), story(cell)


def test_classifications_may_run_at_the_same_time(pinlab, write):
    both = home("classify\nready = started") + "bob.class = port-restricted\n[host bob]\nbehind = home\nrun = classify\nready = started\n"
    cell, _ = pinlab.cell(write(both), status=0)
    assert cell["hosts"]["alice"]["class"]["claimed"] == cell["hosts"]["bob"]["class"]["claimed"] == "port-restricted"


def test_pinhole_that_is_missing_is_named(installed, write):
    with tempfile.TemporaryDirectory(prefix="pinlab-alone-") as place:
        copy = Path(shutil.copytree(installed, Path(place) / "tree"))
        (copy / "bin/pinhole").unlink()
        cell, why = reasons(Pinlab(copy / "bin/pinlab", ROOT / "topologies"), write(home()))
        assert why == (f"host hub: cannot run hub: there is no program {copy}/bin/pinhole (expected pinhole beside "
                       "pinlab)"), story(cell)


@pytest.mark.parametrize("top", ["/tmp", "/run", "/var/tmp"])
def test_pinlab_may_be_built_anywhere(installed, write, top):
    """Hosts have a /tmp and /run of their own, and see of the machine's only what they need."""
    if not os.access(top, os.W_OK):
        pytest.skip(f"{top} is not writable")
    with tempfile.TemporaryDirectory(prefix="pinlab-tree-", dir=top) as place:
        (Path(place) / "secret").write_text("nobody's")
        copy = Path(shutil.copytree(installed, Path(place) / "tree"))
        look = f"sh -c 'ls {place} {place}/tree/bin; exit 0'"
        text = home() + f"[host carol]\nbehind = home\nrun = {look}\nready = exit\n"
        cell, _ = Pinlab(copy / "bin/pinlab", ROOT / "topologies").cell(write(text), status=0)
        assert cell["hosts"]["alice"]["class"]["claimed"] == "port-restricted"
        seen = cell["hosts"]["carol"]["program"]["output"]
        assert "pinhole" in seen and ("secret" in seen) == (top == "/var/tmp"), seen


def test_a_build_tree_below_tmp_works_too(pinlab, write):
    """Its program finds the library by an absolute path."""
    with tempfile.TemporaryDirectory(prefix="pinlab-built-", dir="/tmp") as place:
        for name in ("pinlab", "pinhole"):
            shutil.copy2(find_pinlab().parent / name, place)
        cell, _ = Pinlab(Path(place) / "pinlab", ROOT / "topologies").cell(write(home()), status=0)
        assert cell["hosts"]["alice"]["class"]["claimed"] == "port-restricted"


def test_a_standing_lab_has_its_hub_and_what_was_classified(pinlab):
    name = f"claimed-{uuid.uuid4().hex[:12]}"
    pinlab.run("up", pinlab.topologies / "restricted.ini", "--name", name).expect(0)
    try:
        said = json.loads(pinlab.run("output", name, "alice").expect(0).stdout)
        assert said["class"] == "restricted" and said["server"] == "203.0.113.10:3478"
        assert pinlab.run("output", name, "hub").expect(0).stdout.startswith("ready 203.0.113.10:3478 ")
    finally:
        pinlab.run("down", name).expect(0)
