# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinhole watch` and what else asks a hub, in labs that stand while something happens to them."""

import json
import re
import signal
import time
from datetime import datetime, timedelta

import pytest

from conftest import select_for

pytestmark = pytest.mark.usefixtures("our_pinlab")

HUB = """[host hub]
on = internet
addresses = 203.0.113.10, 203.0.113.11
"""

HOME = """[topology]
title = A home whose router may change
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = port-restricted
address = 203.0.113.2
[host alice]
behind = home
""" + HUB

MESH = """[topology]
title = Hosts behind NATs of every class
[network internet]
subnet = 203.0.113.0/24
""" + HUB
KINDS = ["full-cone", "restricted", "port-restricted", "port-restricted", "symmetric", "symmetric", "symmetric"]
for number, kind in enumerate(KINDS):
    MESH += f"""[nat nat{number}]
outside = internet
inside = 192.168.{number}.0/24
behaviour = {kind}
[host host{number}]
behind = nat{number}
"""
MESH += """[host open]
on = internet
"""


def start_hub(lab, pinhole):
    return lab.host("hub").popen([pinhole, "hub"], ready="ready")


def start_watch(lab, pinhole, *options):
    return lab.host("alice").popen([pinhole, "watch", "--server", "hub", "--json", *options], ready='"schema"')


def lines(program):
    """The JSON lines that a program has put out, whole ones."""
    return [json.loads(line) for line in program.output.splitlines(keepends=True)
            if line.startswith("{") and line.endswith("\n")]


def await_lines(program, number, seconds=60):
    end = time.monotonic() + seconds
    while len(lines(program)) < number:
        assert time.monotonic() < end and program.returncode is None, program.output
        select_for(0.02)
    return lines(program)[number - 1]


def ask(program):
    """What it writes on SIGUSR1."""
    before = len(lines(program))
    program.send_signal(signal.SIGUSR1)
    return await_lines(program, before + 1)


def host_of(address):
    return address.rsplit(":", 1)[0]


def await_runs(watch, runs):
    """Until that many more classifications have had a result."""
    start = sum(ask(watch)["results"].values())
    end = time.monotonic() + 60
    while sum(ask(watch)["results"].values()) < start + runs:
        assert time.monotonic() < end, watch.output
        select_for(0.1)


def changes(watch):
    """What it told of itself: the class and the external host, in order."""
    return [(line["class"], host_of(line["external"])) for line in lines(watch) if line["event"] != "asked"]


def finish(watch):
    watch.send_signal(signal.SIGTERM)
    assert watch.wait() == 0, watch.output


@pytest.mark.topology(HOME)
def test_N4_another_address_is_told_once_with_the_class(lab, pinhole):
    start_hub(lab, pinhole)
    watch = start_watch(lab, pinhole, "--period", "1h", "--reflex-period", "200ms")
    lab.nat("home").address("203.0.113.77")
    assert await_lines(watch, 2)["event"] == "change"
    first, second = (datetime.fromisoformat(line["time"].rstrip("Z")) for line in lines(watch))
    assert second - first < timedelta(seconds=5), "it need not wait for the gap of 10 s"
    watch.send_signal(signal.SIGHUP)
    await_runs(watch, 1)
    finish(watch)
    assert changes(watch) == [("port-restricted", "203.0.113.2"), ("port-restricted", "203.0.113.77")]


@pytest.mark.topology(HOME)
def test_N4_class_and_address_change_together_and_once(lab, pinhole):
    start_hub(lab, pinhole)
    watch = start_watch(lab, pinhole, "--period", "1h", "--reflex-period", "200ms")
    home = lab.nat("home")
    # Another provider's line, behind which every mapping has another port.
    home.run(["ip", "address", "add", "203.0.113.77/24", "dev", "outside"])
    home.run(["nft", "insert rule ip pinlab c_post ip saddr 192.168.1.0/24 snat to 203.0.113.77 fully-random"])
    await_lines(watch, 2)
    watch.send_signal(signal.SIGHUP)
    await_runs(watch, 1)
    finish(watch)
    assert changes(watch) == [("port-restricted", "203.0.113.2"), ("symmetric", "203.0.113.77")]


@pytest.mark.topology(HOME)
def test_N4_the_same_found_many_times_is_told_once(lab, pinhole):
    start_hub(lab, pinhole)
    watch = start_watch(lab, pinhole, "--period", "100ms")
    lab.nat("home").flush()
    await_runs(watch, 10)
    finish(watch)
    assert changes(watch) == [("port-restricted", "203.0.113.2")]
    assert lines(watch)[-1]["flaps"] == 0


# Takes all that is sent to the hub's first socket, until a classification has given up.
SWALLOW = """
import collections, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("203.0.113.10", 3478))
s.settimeout(1.5)
seen = collections.Counter()
while True:
    try:
        seen[s.recv(2048)[:20]] += 1
    except TimeoutError:
        if max(seen.values(), default=0) >= 5:
            break
"""


@pytest.mark.topology(HOME)
def test_N4_a_hub_that_goes_and_comes_makes_no_flapping(lab, pinhole):
    hub = start_hub(lab, pinhole)
    watch = start_watch(lab, pinhole, "--period", "100ms")
    for _ in range(2):
        hub.send_signal(signal.SIGTERM)  # passed on to the hub itself, whose ports are free when it has ended
        hub.wait()
        lab.host("hub").run(["/usr/bin/python3", "-c", SWALLOW])
        hub = start_hub(lab, pinhole)
        await_runs(watch, 3)
    finish(watch)
    last = [line for line in lines(watch) if line["event"] == "asked"][-1]
    assert last["results"].get("udp-blocked", 0) + last["results"].get("unknown", 0) >= 2
    assert last["changes"] == 1
    assert changes(watch) == [("port-restricted", "203.0.113.2")]


@pytest.mark.topology(HOME)
def test_N4_a_hub_that_stays_away_is_told_once_and_its_return_too(lab, pinhole):
    hub = start_hub(lab, pinhole)
    watch = start_watch(lab, pinhole, "--period", "100ms")
    hub.send_signal(signal.SIGTERM)  # passed on to the hub itself, whose ports are free when it has ended
    hub.wait()
    gone = await_lines(watch, 2)
    assert gone["class"] == "unknown" and "nobody listens" in gone["why"]["class"]
    start_hub(lab, pinhole)
    assert await_lines(watch, 3)["class"] == "port-restricted"
    await_runs(watch, 3)
    finish(watch)
    assert [line["class"] for line in lines(watch) if line["event"] != "asked"] == \
        ["port-restricted", "unknown", "port-restricted"]


@pytest.mark.topology(HOME)
def test_N1_the_answer_is_what_the_router_knows_for_one_packet_each_way(lab, pinhole):
    start_hub(lab, pinhole)
    said = json.loads(lab.host("alice").run([pinhole, "reflex", "--server", "hub", "--port", "5000", "--json"]).stdout)
    (known,) = [row for row in lab.nat("home").table() if row["inside"].endswith(":5000")]
    assert said["external"] == known["external"]
    assert said["local"].endswith(":5000") and said["server"] == "203.0.113.10:3478"
    assert lab.host("alice").run([pinhole, "reflex", "--server", "hub", "--port", "5000"]).stdout.strip() == known["external"]
    packets = lab.captures.packets('udp.port == 3478 && frame.interface_name == "home.inside"', ["udp.srcport"])
    assert packets == [("5000",), ("3478",)] * 2


@pytest.mark.topology(HOME.replace("behaviour = port-restricted", "behaviour = port-restricted\nudp-timeout = 7s"))
def test_the_lifetime_of_a_mapping_is_measured(lab, pinhole):
    start_hub(lab, pinhole)
    assert lab.host("alice").run([pinhole, "lifetime", "--server", "hub"]).stdout == "5 to 10 s\n"


@pytest.mark.topology(HOME)
def test_N18_nothing_needs_more_than_a_server(lab, pinhole):
    def run(command, *more):
        return lab.host("alice").run([pinhole, command, "--server", "hub", *more], env={}).stdout

    lab.host("hub").popen(["env", "-i", pinhole, "hub"], ready="ready")
    assert re.fullmatch(r"203\.0\.113\.2:\d+\n", run("reflex"))
    assert run("classify").startswith("class            port-restricted\n")
    watch = lab.host("alice").popen(["env", "-i", pinhole, "watch", "--server", "hub"], ready="\n")
    assert re.fullmatch(r"\d\d:\d\d:\d\d port-restricted at 203\.0\.113\.2:\d+\n", watch.output)
    finish(watch)
    assert run("lifetime", "--most", "5s") == "more than 5 s\n"


@pytest.mark.topology(MESH)
def test_N26_the_hub_counts_what_the_wire_shows_and_the_classes_there_are(lab, pinhole):
    hub = start_hub(lab, pinhole)
    names = [f"host{number}" for number in range(len(KINDS))] + ["open"]
    classes = [json.loads(lab.host(name).run([pinhole, "classify", "--server", "hub", "--json"]).stdout)["class"]
               for name in names]
    assert classes == [*KINDS, "direct"]  # which the lab has certified
    silent = lab.host("host0").run([pinhole, "classify", "--server", "hub", "--json", "--no-report"])
    assert json.loads(silent.stdout)["class"] == KINDS[0]
    garbage = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); " \
              "s.sendto(b'garbage', ('203.0.113.10', 3478)); " \
              "s.sendto(bytes.fromhex('001100002112a442') + bytes(12), ('203.0.113.11', 3479)); " \
              "s.sendto(bytes.fromhex('000100002112a442') + bytes(12), ('203.0.113.10', 3479)); s.settimeout(10); s.recv(99)"
    lab.host("open").run(["/usr/bin/python3", "-c", garbage])
    said = ask(hub)["ipv4"]
    assert {name: votes for name, votes in said["classes"].items() if votes} == \
        {name: classes.count(name) for name in classes}
    assert said["reports"] == len(names)
    assert said["dropped"] == {"foreign": 1, "ignored": 1, "limited-source": 0, "limited-all": 0, "limited-reports": 0}
    assert said["received"] == said["answered"] + said["reports"] + 2
    assert said["answered-from-elsewhere"] > 0 and said["refused-from-elsewhere"] == 0

    def count(match):
        return len(lab.captures.packets(f'{match} && frame.interface_name == "hub" && udp && !icmp', ["udp.length"]))

    assert count("ip.dst in {203.0.113.10, 203.0.113.11}") == said["received"]
    assert count("ip.src in {203.0.113.10, 203.0.113.11}") == said["answered"]
    sent = lab.captures.packets('ip.src in {203.0.113.10, 203.0.113.11} && frame.interface_name == "hub" && udp && !icmp',
                                ["udp.length"])
    assert sum(int(length) - 8 for (length,) in sent) == said["answered-bytes"]


@pytest.mark.topology("""[topology]
title = A host with more addresses than are looked at
[network internet]
subnet = 203.0.113.0/24
[host alice]
on = internet
""" + HUB)
def test_a_host_with_many_addresses_is_as_direct_as_others(lab, pinhole):
    start_hub(lab, pinhole)
    # The loopback interface is listed first.
    lab.host("alice").run(["sh", "-c", "for i in $(seq 1 40); do ip address add 10.99.0.$i/32 dev lo; done"])
    assert json.loads(lab.host("alice").run([pinhole, "classify", "--server", "hub", "--json"]).stdout)["class"] == "direct"
