# SPDX-License-Identifier: GPL-2.0-or-later
"""Engine fabric: NATs and links are the model's, hosts and their programs real. Its verdicts are the kernel's, and real
programs see links and routers as the topology has them. What people do in a standing lab is tested with the other
engine's (test_work_*.py), as are the judges that we did not write (test_judges.py, test_strangers.py)."""

import contextlib
import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from conftest import gone, processes_with, select_for
from workbench import is_dead, standing, start_capture, tshark

JUDGES = ("expected", "certified", "claimed", "observed")


def verdicts(pinlab, engine, path):
    pinlab.run("matrix", "--engine", engine, "--seed", "1", "--json", path).expect(0)
    return {cell["topology"]: cell for cell in json.loads(path.read_text())["cells"]}


def opinions(cell):
    """Every word of every judge, without the numbers of the ports that the prober happened to get."""
    words = {}
    for name, subject in {**cell["hosts"], **cell["nats"]}.items():
        for axis, judges in {"class": subject["class"], **subject["axes"]}.items():
            for judge in JUDGES:
                if (judges or {}).get(judge) and axis != "port-range":
                    words[name, axis, judge] = judges[judge]
    return words


def test_the_verdict_of_every_topology_is_the_kernels(pinlab, tmp_path):
    """Axis by axis and judge by judge. What the wire shows of unsolicited packets is a matter of what came when."""
    cells = {engine: verdicts(pinlab, engine, tmp_path / engine) for engine in ("kernel", "fabric")}
    compared = 0
    for topology, kernel in cells["kernel"].items():
        theirs, ours = opinions(kernel), opinions(cells["fabric"][topology])
        if kernel["verdict"] == "skip" or cells["fabric"][topology]["verdict"] == "skip":
            continue
        only_one = {(axis, judge) for _, axis, judge in theirs.keys() ^ ours.keys()}
        assert only_one <= {("unsolicited", "observed")}, (topology, theirs.items() ^ ours.items())
        both = theirs.keys() & ours.keys()
        assert {key: ours[key] for key in both} == {key: theirs[key] for key in both}, topology
        compared += 1
    assert compared >= 30


NEW_TO_KERNELS = """
[topology]
title = What no kernel does
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = port-restricted
inbound-refresh = no
[host alice]
behind = home
run = classify
[host hub]
on = internet
addresses = 203.0.113.10, 203.0.113.11
run = hub
[link alice]
delay = 5ms
[expect]
alice.class = port-restricted
"""


def test_what_the_kernel_refuses_the_fabric_expresses(pinlab, write):
    path = write(NEW_TO_KERNELS)
    pinlab.run("run", path).expect(77)
    pinlab.run("run", path, "--engine", "fabric", "--no-skip").expect(0)


def test_what_the_fabric_has_not_it_refuses_by_name(pinlab, write, tmp_path):
    (tmp_path / "own.nft").write_text("table ip home {\n}\n")
    path = write(NEW_TO_KERNELS.replace("inbound-refresh = no", "rules = own.nft"))
    reasons = pinlab.on("fabric").cell(path, status=77)[0]["reasons"]
    assert reasons == ["engine fabric cannot express nat home rules (it has no nftables)"]


# ---- links and routers, as programs see them ----

LINKS = """
[topology]
title = Links of all kinds
[network internet]
subnet = 203.0.113.0/24
[network side]
subnet = 198.51.100.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = port-restricted
[nat inner]
outside = home.inside
inside = 192.168.2.0/24
behaviour = port-restricted
[host alice]
behind = inner
[host hub]
on = internet
[host far]
on = internet
[host lossy]
on = internet
[host thin]
on = internet
[host small]
on = internet
[host gate]
on = internet, side
routes = yes
[host beyond]
on = side
[link far]
delay = 20ms
jitter = 5ms
[link lossy]
loss-mask = 0001
[link thin]
rate = 20mbit
[link small]
mtu = 1280
"""


@pytest.fixture(scope="module")
def links(pinlab, tmp_path_factory):
    path = tmp_path_factory.mktemp("links") / "links.ini"
    path.write_text(LINKS)
    with standing(pinlab, path, "--engine", "fabric") as lab:
        yield lab


def ping(lab, host, *words):
    return lab.exec(host, "ping", "-n", *words).stdout


def test_a_delay_with_its_jitter_is_there_both_ways(links):
    times = [float(word) for word in re.findall(r"time=([0-9.]+) ms", ping(links, "alice", "-c", "30", "-i", "0.01",
                                                                           "far"))]
    assert len(times) == 30
    assert min(times) >= 30 and sorted(times)[15] < 55, times
    assert max(times) - min(times) > 3, times


def test_a_link_without_delay_has_next_to_none(links):
    times = sorted(map(float, re.findall(r"time=([0-9.]+) ms", ping(links, "alice", "-c", "30", "-i", "0.01", "hub"))))
    assert times[15] < 3, times


def test_a_loss_mask_is_exact(pinlab, write):
    """Of 20 requests every fourth is lost on its way in, of the 15 answers every fourth on its way out."""
    with standing(pinlab, write(LINKS), "--engine", "fabric") as fresh:
        said = ping(fresh, "alice", "-c", "20", "-i", "0.01", "-W", "1", "lossy")
        assert "20 packets transmitted, 12 received" in said, said
        assert set(range(1, 21)) - {int(n) for n in re.findall("icmp_seq=([0-9]+)", said)} >= {4, 8, 12, 16, 20}


SERVE = """import socket, sys
s = socket.create_server(("", 8000), reuse_port=True); print("ready", flush=True)
c, _ = s.accept(); size = int(sys.argv[1])
c.sendall(bytes(range(256)) * (size // 256)); c.close()"""
FETCH = """import socket, sys, time
c = socket.create_connection((sys.argv[1], 8000)); size = int(sys.argv[2]); got = start = first = 0
data = bytearray()
while block := c.recv(1 << 16):
    data += block
    start, first = start or time.monotonic(), first or len(block)
took = time.monotonic() - start
assert data == bytes(range(256)) * (size // 256), len(data)
print((len(data) - first) / took)"""


def transfer(lab, server, client, address, size):
    """Bytes a second at the client, which checks them."""
    serving = lab.pinlab.start("exec", lab.name, server, "--", sys.executable, "-c", SERVE, str(size))
    assert serving.stdout.readline() == "ready\n"
    speed = float(lab.exec(client, sys.executable, "-c", FETCH, address, str(size)).expect(0).stdout)
    assert serving.wait(timeout=60) == 0
    serving.communicate()
    return speed


@pytest.mark.parametrize("server, client, address", [("thin", "alice", "thin"), ("hub", "thin", "hub")])
def test_a_rate_limits_a_transfer_in_either_direction(links, server, client, address):
    """TCP's payload is 1448 of 1500 bytes."""
    speed = transfer(links, server, client, address, 2_560_000) * 8 * 1500 / 1448
    assert 18e6 < speed < 22e6, speed


@pytest.mark.parametrize("server, address", [("hub", "hub"), ("small", "small")])
def test_tcp_gets_everything_through_nats_and_small_interfaces(links, server, address):
    transfer(links, server, "alice", address, 10_240_000)


def test_packets_that_are_too_long_are_fragmented_or_refused(links):
    assert "3 received" in ping(links, "alice", "-c", "3", "-i", "0.01", "-s", "4000", "hub")
    assert "3 received" in ping(links, "alice", "-c", "3", "-i", "0.01", "-s", "65000", "hub")
    # Its own interface is small: what it sends is refused there, by itself.
    assert "message too long, mtu=1280" in links.exec("small", "ping", "-n", "-c", "1", "-M", "do", "-s", "1400",
                                                      "hub").text


def test_routers_show_themselves(links):
    hops = [re.search(r"From (\S+) .*Time to live exceeded", ping(links, "alice", "-c", "1", "-t", str(ttl), "hub"))
            for ttl in (1, 2)]
    assert [hop and hop.group(1) for hop in hops] == ["192.168.2.1", "192.168.1.1"]
    assert "1 received" in ping(links, "alice", "-c", "1", "-t", "3", "hub")


def test_a_host_that_routes_passes_packets_on_and_shows_itself(links):
    said = ping(links, "hub", "-c", "2", "-i", "0.01", "beyond")
    assert "2 received" in said and "ttl=63" in said
    assert re.search(r"From 203\.0\.113\.\d+ .*Time to live exceeded", ping(links, "hub", "-c", "1", "-t", "1", "beyond"))
    assert "2 received" in ping(links, "beyond", "-c", "2", "-i", "0.01", "hub")


JUMBO = """
[topology]
title = Long packets
[network internet]
subnet = 203.0.113.0/24
[host alice]
on = internet
[host hub]
on = internet
[link alice]
mtu = 9000
[link hub]
mtu = 9000
[step 1]
at = 1ms
do = link hub down
[step 2]
at = 2ms
do = link hub up
"""


def test_jumbo_packets_pass_whole_and_links_come_back(pinlab, write):
    with standing(pinlab, write(JUMBO), "--engine", "fabric", "--steps") as lab:
        assert "1 received" in ping(lab, "alice", "-c", "1", "-M", "do", "-s", "8972", "hub")
        assert "message too long" in lab.exec("alice", "ping", "-c", "1", "-M", "do", "-s", "8973", "hub").text


# ---- bad days ----

FLOOD = """import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); least = int(sys.argv[3]); n = 0
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end or n < least:
    s.sendto(bytes(1400), (sys.argv[1], 9)); n += 1"""


def switch_of(lab):
    (info,) = [info for info in lab.pinlab.run("labs", "--json").json()["labs"] if info["name"] == lab.name]
    return find_switch(info["pid"])


def descendants(pid):
    """Some end while we look."""
    children = ""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    for child in map(int, children.split()):
        yield child
        yield from descendants(child)


def find_switch(pid):
    for child in descendants(pid):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{child}/comm").read_text() == "pinlab-switch\n":
                return child
    return pytest.fail("there is no switch")


def resident_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_flood_takes_no_more_than_its_share(links):
    """Into a link that is slow: its queue is bounded, and whoever else is there is served meanwhile."""
    flood = links.pinlab.start("exec", links.name, "hub", "--", sys.executable, "-c", FLOOD, "thin", "2", "1000")
    said = ping(links, "alice", "-c", "20", "-i", "0.05", "gate")
    most = resident_bytes(switch_of(links))
    assert flood.wait(timeout=60) == 0
    flood.communicate()
    assert "20 received" in said, said
    assert most < 400 << 20


def test_a_capture_that_nobody_reads_stalls_nobody(links, tmp_path):
    stuck = start_capture(links, "hub", "-w", "-")
    links.exec("gate", sys.executable, "-c", FLOOD, "hub", "0", "20000").expect(0)  # more than all queues hold
    capture = start_capture(links, "hub", "-w", tmp_path / "x.pcapng")
    assert "5 received" in ping(links, "alice", "-c", "5", "-i", "0.01", "hub")
    capture.send_signal(signal.SIGINT)
    assert capture.wait(timeout=60) == 0
    assert len(tshark(tmp_path / "x.pcapng", "-Y", "icmp.type == 8 || icmp.type == 0")) == 10
    stuck.kill()
    stuck.wait(timeout=60)


def test_a_device_that_a_host_deletes_costs_no_time(pinlab, write):
    with standing(pinlab, write(JUMBO), "--engine", "fabric") as lab:
        lab.exec("alice", "ip", "link", "delete", "eth0").expect(0)
        stat = Path(f"/proc/{switch_of(lab)}/stat")
        before = stat.read_text().split()[13:15]
        select_for(0.3)
        spent = [int(after) - int(was) for was, after in zip(before, stat.read_text().split()[13:15])]
        assert sum(spent) <= 2, spent  # hundredths of a second


def test_a_lab_without_its_switch_says_so(pinlab, write):
    with standing(pinlab, write(JUMBO), "--engine", "fabric") as lab:
        switch = switch_of(lab)
        os.kill(switch, signal.SIGKILL)
        while not is_dead(switch):
            select_for(0.005)
        assert "the lab's switch was ended: Killed" in lab.exec("alice", "true").expect(125).stderr
        said = lab.pinlab.run("capture", lab.name, "-w", "/dev/null").expect(1).stderr
        assert "the lab's switch was ended: Killed" in said


ENDING = """
[topology]
title = A run that is about to lose its switch
[network internet]
subnet = 203.0.113.0/24
[host alice]
on = internet
run = sleep {marker}
[host hub]
on = internet
run = sh -c 'while ping -c 1 -W 1 alice >/dev/null; do :; done'
ready = exit
[expect]
hub.exit = 0
"""


@pytest.fixture
def running(pinlab, write):
    """A run whose programs are at work, and what its processes have in their command lines."""
    marker = f"7{os.getpid():07}{time.monotonic_ns() % 10000:04}"
    process = pinlab.start("run", write(ENDING.format(marker=marker)), "--engine", "fabric")
    while not processes_with(f"sleep\0{marker}"):
        assert process.poll() is None, process.communicate()
    yield process, marker
    process.kill()
    process.communicate()


def test_a_run_without_its_switch_fails_with_the_reason_and_leaves_nothing(running):
    process, marker = running
    os.kill(find_switch(process.pid), signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1 and "the lab's switch was ended: Killed" in " ".join((stdout + stderr).split())
    assert not gone(marker)


def test_a_run_that_is_killed_leaves_nothing(running):
    process, marker = running
    children = [find_switch(process.pid), *descendants(process.pid)]
    process.kill()
    process.communicate(timeout=60)
    assert not gone(marker)
    end = time.monotonic() + 10
    while (left := [pid for pid in children if Path(f"/proc/{pid}").exists()]) and time.monotonic() < end:
        select_for(0.01)
    assert not left


def test_two_hundred_nodes_come_up(pinlab, write):
    groups = ["[topology]", "title = Many", "[network internet]", "subnet = 10.0.0.0/16", "[host hub]", "on = internet"]
    for i in range(199):
        groups += [f"[host h{i}]", "on = internet"]
    with standing(pinlab, write("\n".join(groups)), "--engine", "fabric") as lab:
        assert "1 received" in ping(lab, "h7", "-c", "1", "h198")
