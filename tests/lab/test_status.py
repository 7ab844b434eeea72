# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinhole status`: what operators see of nodes and hubs that run, and that it is so."""

import json
import os
import signal
import socket
import stat
import subprocess
import time

import pytest

from conftest import ENGINES, LIMIT_SECONDS, select_for
from test_node import DIALLED, PUNCHED, WORLD, Mesh, Node, talk

pytestmark = pytest.mark.usefixtures("our_pinlab")

SYMMETRIC = WORLD.format(west="symmetric", east="symmetric")
STRAIGHT = "udp && ip.addr == 203.0.113.2 && ip.addr == 203.0.113.3"


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def mesh(lab, pinhole, place):
    return Mesh(lab, pinhole, place)


# For root pinhole looks in /run as well, where others of this machine may have theirs.
ALONE = ["unshare", "--mount", "sh", "-c",
         'mkdir -p -m 700 /run/pinhole && mount -t tmpfs -o mode=700 alone /run/pinhole && exec "$@"', "sh"]


class Here:
    """Programs of this machine, with control sockets in a place of their own."""

    def __init__(self, pinhole, place):
        self.pinhole, self.place = pinhole, place
        self.env = {**os.environ, "XDG_RUNTIME_DIR": str(place)}
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.running:
            process.kill()
            process.communicate()

    def command(self, *words):
        return [*(ALONE if os.geteuid() == 0 else []), self.pinhole, *words]

    def status(self, *words):
        return subprocess.run(self.command("status", *words), env=self.env, capture_output=True, text=True, check=False,
                              timeout=LIMIT_SECONDS)

    def fails(self, *words, status=1):
        done = self.status(*words)
        assert (done.returncode, done.stdout) == (status, ""), done
        return done.stderr

    def hub(self, address, *words):
        process = subprocess.Popen(self.command("hub", "--listen", address, "--one-port", *words), env=self.env, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.running.append(process)
        process.ready = process.stdout.readline()
        return process


@pytest.fixture
def here(pinhole, tmp_path):
    with Here(pinhole, tmp_path) as made:
        yield made


def test_where_nothing_runs_it_says_so_and_where_it_looked(here):
    assert here.fails().startswith(f"pinhole: nothing of this user's runs here (looked in {here.place}/pinhole")
    assert here.fails("alice").startswith("pinhole: nothing of this user's runs here")
    assert here.fails("--control", "/nowhere") == "pinhole: --control /nowhere: No such file or directory\n"
    assert "status takes one NAME" in here.fails("a", "b", status=2)


def test_one_that_runs_is_found_and_its_socket_goes_with_it(here):
    hub = here.hub("127.0.0.1:39478")
    path = here.place / "pinhole" / "hub.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert here.status().stdout.startswith("hub  hub, process ")
    answer = json.loads(here.status("hub", "--json").stdout)
    assert (answer["kind"], answer["pid"], answer["addresses"]) == ("hub", hub.pid, ["127.0.0.1:39478"])
    assert here.fails("alice") == "pinhole: alice: nobody of that name runs here (there are: hub)\n"
    hub.send_signal(signal.SIGTERM)
    assert hub.wait(LIMIT_SECONDS) == 0
    assert not path.exists()


def test_several_are_listed_and_what_a_killed_one_left_is_in_nobodys_way(here):
    hub = here.hub("127.0.0.1:39488")
    hub.kill()
    hub.wait(LIMIT_SECONDS)
    assert "what ran there has ended" in here.fails("hub")
    second, third = here.hub("127.0.0.1:39488"), here.hub("127.0.0.1:39489")
    lines = here.status().stdout.splitlines()
    assert lines[0].split() == ["NAME", "KIND", "PROCESS", "FOR", "CLASS", "HUB"]
    assert [line.split()[0] for line in lines[1:]] == [f"hub-{third.pid}", "hub"]
    assert [answer["pid"] for answer in json.loads(here.status("--json").stdout)] == [third.pid, second.pid]
    assert json.loads(here.status("hub", "--json").stdout)["pid"] == second.pid


def test_one_without_a_name_has_its_commands_and_its_processs(here, tmp_path):
    key = subprocess.run([here.pinhole, "key", "new", tmp_path / "hub.key"], capture_output=True, text=True, check=True)
    here.hub("127.0.0.1:39518", "--key", str(tmp_path / "hub.key"))
    words = here.command("pipe", "--hub", f"{key.stdout.strip()}@127.0.0.1:39518")
    pipe = subprocess.Popen(words, env=here.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    here.running.append(pipe)
    end = time.monotonic() + LIMIT_SECONDS
    while len(lines := here.status().stdout.splitlines()) < 3 or not lines[0].startswith("NAME"):
        assert time.monotonic() < end and pipe.poll() is None, lines
        select_for(0.01)
    assert [line.split()[0] for line in lines[1:]] == ["hub", f"pipe-{pipe.pid}"]
    assert (here.place / "pinhole" / f"pipe-{pipe.pid}.sock").exists()


def test_a_socket_that_was_asked_for_is_there_or_it_does_not_start(here):
    path = here.place / "mine"
    hub = here.hub("127.0.0.1:39498", "--control", str(path))
    assert json.loads(here.status("--control", str(path), "--json").stdout)["pid"] == hub.pid
    other = here.hub("127.0.0.1:39499", "--control", str(path))
    assert other.ready == "" and other.wait(LIMIT_SECONDS) == 1
    assert other.stderr.read().startswith(f"pinhole: --control {path}: another one that runs has this control socket")
    silent = here.hub("127.0.0.1:39499", "--no-control")
    assert silent.ready and "nothing of this user's" in here.fails()


def test_colours_are_for_terminals(here):
    here.hub("127.0.0.1:39508")
    assert "\033" not in here.status("hub").stdout
    words = f"{here.pinhole} status hub"
    shown = subprocess.run(["script", "-qec", words, "/dev/null"], env={**here.env, "TERM": "xterm"}, capture_output=True,
                           text=True, check=True, timeout=LIMIT_SECONDS, stdin=subprocess.DEVNULL)
    assert "\033[1m" in shown.stdout
    plain = subprocess.run(["script", "-qec", words, "/dev/null"], env={**here.env, "TERM": "xterm", "NO_COLOR": "1"},
                           capture_output=True, text=True, check=True, timeout=LIMIT_SECONDS, stdin=subprocess.DEVNULL)
    assert "\033" not in plain.stdout


HUB = {"key": "k", "address": "203.0.113.10:3478", "state": "registered", "reason": None, "sentence": None,
       "seen": "203.0.113.2:40000", "beside": None, "health": "healthy", "rtt_s": 0.02}


@pytest.mark.parametrize("binding, hub, lines", [
    (60.0, {}, ["idle mapping  kept for 60 s, as far as is known",
                "at the hub    registered, healthy, 20.0 ms; it sees us at 203.0.113.2:40000"]),
    (None, {"beside": "[2001:db8::2]:40000"},
     ["at the hub  registered, healthy, 20.0 ms; it sees us at 203.0.113.2:40000 and [2001:db8::2]:40000"]),
    (None, {"seen": None}, ["at the hub  registered, healthy, 20.0 ms"]),
    (None, {"seen": None, "health": None, "state": "asking", "rtt_s": None, "sentence": "It is silent."},
     ["at the hub  asking: It is silent."]),
], ids=["measured", "both families", "moved", "lost"])
def test_what_is_known_of_oneself_is_there_for_people_too(here, binding, hub, lines):
    answer = {"schema": 1, "kind": "node", "version": "0", "pid": 1, "uptime_s": 1, "name": "alice", "key": "k",
              "class": "restricted", "external": None, "binding_s": binding, "hub": {**HUB, **hub}, "counters": {}, "peers": []}
    path = str(here.place / "n")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        words = here.command("status", "--control", path)
        asking = subprocess.Popen(words, env=here.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        here.running.append(asking)
        listening.settimeout(LIMIT_SECONDS)
        with listening.accept()[0] as connection:
            connection.sendall(json.dumps(answer).encode() + b"\n")
        text, _ = asking.communicate(timeout=LIMIT_SECONDS)
    assert [line for line in text.splitlines() if line.startswith(("idle", "at the hub"))] == lines, text


# ---- in a lab ----


def status_of(lab, pinhole, host, *words):
    return json.loads(lab.host(host).run([pinhole, "status", *words, "--json"]).stdout)


def seen_path(lab):
    """What the packets between alice and bob amount to, by headers alone."""
    sides = []
    for side in ("west", "east"):
        rows = lab.captures.packets(f'{STRAIGHT} && frame.interface_name == "{side}.outside"', ["ip.src", "ip.dst"])
        sides.append([source for source, _ in rows])
    if all({"203.0.113.2", "203.0.113.3"} <= set(sources) for sources in sides):
        return "straight"
    return "not straight"


@pytest.mark.parametrize("topology, paths, on_the_wire", [
    (DIALLED, {"direct"}, "straight"),
    (PUNCHED, {"punched"}, "straight"),
    (SYMMETRIC, {"relayed"}, "not straight"),
], ids=["direct", "punched", "relayed"])
def test_N25_the_peer_table_equals_the_captures(lab, mesh, pinhole, paths, on_the_wire):
    alice, bob = mesh.pair()
    for node in (alice, bob):
        node.await_event("classified")
    if on_the_wire == "straight":
        for node in (alice, bob):
            node.await_event("peer-path", path=next(iter(paths)))
    talk(bob, alice, "alice", "one")
    talk(alice, bob, "bob", "two")
    hub = status_of(lab, pinhole, "hub")[0]
    for host, peer, class_ in (("alice", "bob", None), ("bob", "alice", None)):
        answer = status_of(lab, pinhole, host, host)
        (row,) = answer["peers"]
        assert (row["peer"], row["path"] in paths, row["health"]) == (peer, True, "healthy"), row
        assert row["class"] in ("full-cone", "port-restricted", "symmetric") and row["reason"] and row["rtt_s"] > 0
        # What the table says of addresses is what the wire has, and what the hub says.
        if row["path"] == "relayed":
            assert row["via"] == hub["key"] and row["address"] is None
        else:
            assert row["address"].split(":")[0] == {"bob": "203.0.113.3", "alice": "203.0.113.2"}[peer]
    assert seen_path(lab) == on_the_wire
    assert sorted((node["peer"], node["address"].split(":")[0]) for node in hub["nodes"]) == \
        [("alice", "203.0.113.2"), ("bob", "203.0.113.3")]
    relayed = [node["relayed-bytes"] for node in hub["nodes"]]
    assert min(relayed) > 0  # the first bytes go by the hub
    text = lab.host("alice").run([pinhole, "status"]).stdout
    (line,) = [line for line in text.splitlines() if line.startswith("bob ")]
    assert line.split()[2] in {path + ("(hub)" if path == "relayed" else "") for path in paths}


@pytest.mark.topology(PUNCHED)
def test_N25_who_is_not_there_is_in_the_table_with_the_reason(lab, mesh, pinhole):
    Node(mesh, "alice", "--connect", "carol")
    mesh.hub.send_signal(signal.SIGKILL)
    mesh.hub.wait()
    text, end = "", time.monotonic() + 20
    while "carol" not in text and time.monotonic() < end:
        text = lab.host("alice").run([pinhole, "status", "alice"]).stdout
    (line,) = [line for line in text.splitlines() if line.startswith("carol")]
    assert line.split()[2] == "none(looking)", text


# ---- the log of introductions ----


@pytest.mark.topology(PUNCHED)
def test_N27_who_was_introduced_by_whom_and_what_came_of_it(lab, mesh, pinhole):
    mesh.hub.send_signal(signal.SIGTERM)  # which is passed on to the hub itself: its ports are free then
    mesh.hub.wait()
    mesh.hub = lab.host("hub").popen([pinhole, "hub", "--key", mesh.place / "hub.key", "--log"], ready=" key ")
    alice, bob = mesh.pair()
    said = {}
    for node, peer in ((alice, "bob"), (bob, "alice")):
        node.await_event("peer-path", path="punched")
        said[peer] = node.await_event("punch", peer=peer, outcome="open")
    for line in said.values():
        assert mesh.hub_words.startswith(line["mediator"]) and line["reason"] == "proven" and line["sentence"]
        assert (line["attempt"], line["strategy"]) == (1, "punch") and 0 < line["took_s"] < 10
    lines = [json.loads(line) for line in mesh.hub.output.splitlines() if line.startswith("{")]
    # On a busy machine the peer's class comes while the mediator is being asked, and it is asked once more.
    introduced, *more = [line for line in lines if line["event"] == "introduced"]
    assert all(line["key"] == introduced["key"] and line["to"] == introduced["to"] for line in more) and len(more) < 3
    assert {introduced["peer"], introduced["to"]} == {"alice", "bob"} and introduced["attempt"] == 1
    keys = {introduced["peer"]: introduced["key"], introduced["to"]: introduced["to-key"]}
    assert keys == {peer: line["key"] for peer, line in said.items()}
    hub = status_of(lab, pinhole, "hub")[0]
    assert hub["station"]["introductions"] == 1 + len(more)
    assert hub["station"]["classes"]["port-restricted"] == 2  # N26: of those who are registered


# ---- the verdict has it, too ----


@pytest.mark.parametrize("engine", ["virtual", "kernel", "fabric"])
@pytest.mark.parametrize("pair", ["open,port-restricted", "port-restricted,port-restricted", "symmetric,symmetric",
                                  "udp-blocked,open", "cgn,symmetric"])
def test_N25_the_table_of_each_node_is_what_is_on_the_wire(pinlab, pair, engine):
    cell = pinlab.run("run", "--pair", pair, "--engine", engine, "--json", "-").expect(0).json()
    for path in cell["paths"]:
        rows = [row for row in cell["hosts"][path["from"]]["node"]["peers"] if row["peer"] == path["to"]]
        if path["observed"].startswith("none"):
            assert not rows or rows[0]["path"].startswith("none"), rows
        else:
            assert rows[0]["path"] == path["observed"], (rows, path)
            assert rows[0]["health"] == "healthy" and rows[0]["reason"]


def test_N26_a_node_writes_its_counters_every_so_often(here):
    node = subprocess.Popen([here.pinhole, "node", "--hub", "A" * 43 + "=@127.0.0.1:9", "--metrics", "50ms"], env=here.env,
                            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    here.running.append(node)
    lines = [json.loads(node.stdout.readline()) for _ in range(4)]
    status = [line for line in lines if line["event"] == "status"]
    assert len(status) >= 2 and all(line["counters"]["punches-attempted"] == 0 for line in status)
