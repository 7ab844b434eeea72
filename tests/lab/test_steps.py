# SPDX-License-Identifier: GPL-2.0-or-later
"""Steps: each changes what the packets do, and is judged by them and by what the programs put out.

alice listens on a port that her NAT keeps, and has sent from it to hub's port 6000: what comes from there gets in as long
as the NAT remembers. bob only marks the time. Steps that run a command wait for its end, so the order of packets is that
of the steps."""

import subprocess

import pytest

LAB = """[topology]
title = Something happens
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = port-restricted
[host hub]
on = internet
address = 203.0.113.10
run = {hub}
ready = line ready
[host alice]
behind = home
run = {alice}
ready = line ready
[host bob]
on = internet
address = 203.0.113.11
{steps}
[expect]
{expect}
"""

# Sends from her port, and then puts out all that comes to it.
ALICE = """/usr/bin/python3 -u -c "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 5000)); \
s.sendto(b'hello', ('203.0.113.10', 6000)); print('ready'); [print(s.recv(99).decode()) for _ in iter(int, 1)]" """

# Answers, and puts out who asked.
HUB = """/usr/bin/python3 -u -c "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 7000)); \
print('ready'); f = lambda data, peer: (print(data.decode(), peer[0]), s.sendto(b'answer to ' + data, peer)); \
[f(*s.recvfrom(99)) for _ in iter(int, 1)]" """


def ask(text):
    """alice sends to hub, and waits for the answer."""
    return ("host alice run /usr/bin/python3 -c \"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
            f"s.settimeout(10); s.connect(('203.0.113.10', 7000)); s.send(b'{text}'); s.recv(99)\"")


def knock(text, address="203.0.113.2"):
    """hub sends to what is alice's port as long as it is mapped; that it cannot is for the packets to say."""
    return ("host hub run sh -c '/usr/bin/python3 -c \"$0\" || true' 'import socket; "
            "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((\"\", 6000)); "
            f"s.sendto(b\"{text}\", (\"{address}\", 5000))'")


def call(text):
    """alice sends to hub, and does not wait."""
    return f"host alice run bash -c 'echo -n {text} >/dev/udp/203.0.113.10/7000 || true'"


def mark(text):
    """bob's interface sees it."""
    return f"host bob run bash -c 'echo -n {text} >/dev/udp/203.0.113.2/9'"


class Outcome:
    def __init__(self, cell):
        self.cell = cell
        self.reasons = " ".join(cell["reasons"])

    def output(self, host):
        return self.cell["hosts"][host]["program"]["output"].splitlines()

    def frames(self, point, *fields, match="udp && !icmp"):
        """What the capture shows at one interface."""
        words = [word for field in fields for word in ("-e", field)]
        shown = subprocess.run(["tshark", "-n", "-r", self.cell["capture"], "-Y", f'frame.interface_name == "{point}" && ({match})',
                                "-T", "fields", *words], capture_output=True, text=True, check=True, timeout=60)
        return [line.split("\t") for line in shown.stdout.splitlines()]

    def moments(self, point):
        """When each text was first seen at one interface."""
        frames = self.frames(point, "udp.payload", "frame.time_epoch")
        return {bytes.fromhex(payload).decode(errors="replace"): float(moment) for payload, moment in reversed(frames)}

    def payloads(self, point):
        """The texts among the payloads at one interface; the lab's own probes are none."""
        payloads = [bytes.fromhex(payload) for (payload,) in self.frames(point, "udp.payload")]
        return [payload.decode() for payload in payloads if payload and not payload.startswith(b"pinprobe")]


@pytest.fixture
def run(pinlab, write, tmp_path):
    def run_steps(*steps, status=0, expect="hub.class = direct", alice=ALICE, hub=HUB):
        groups = "\n".join(f"[step {n}]\nat = 1ms\ndo = {step}" for n, step in enumerate(steps, 1))
        path = write(LAB.format(alice=alice, hub=hub, steps=groups, expect=expect))
        cell, _ = pinlab.cell(path, "--pcap", tmp_path / "captures", status=status)
        return Outcome(cell)

    return run_steps


def test_what_the_nat_remembers_comes_in(run):
    """Without a step that changes anything, both knocks are heard: what the other tests compare with."""
    outcome = run(knock("early"), knock("late"))
    assert outcome.output("alice") == ["ready", "early", "late"]
    assert outcome.payloads("home.inside") == ["hello", "early", "late"]


@pytest.mark.parametrize("word", ["flush", "reboot"])
def test_a_nat_forgets_its_mappings(run, word):
    outcome = run(knock("early"), f"nat home {word}", knock("late"))
    assert outcome.output("alice") == ["ready", "early"]
    assert outcome.payloads("home.outside") == ["hello", "early", "late"]
    assert outcome.payloads("home.inside") == ["hello", "early"]


@pytest.mark.parametrize("word", ["flush", "reboot"])
def test_a_nat_that_has_forgotten_translates_again(run, word):
    outcome = run(f"nat home {word}", ask("again"))
    assert outcome.output("hub") == ["ready", "again 203.0.113.2"]
    assert outcome.payloads("home.inside") == ["hello", "again", "answer to again"]


def test_a_nat_gets_another_address(run):
    outcome = run(ask("one"), "nat home address 203.0.113.77", ask("two"),
                  knock("to-the-old"))
    assert outcome.output("hub") == ["ready", "one 203.0.113.2", "two 203.0.113.77"]
    sources = outcome.frames("home.outside", "ip.src", match="udp.dstport == 7000")
    assert sources == [["203.0.113.2"], ["203.0.113.77"]]
    assert "to-the-old" not in outcome.payloads("home.inside")


def test_with_another_address_a_nat_has_no_mappings(run):
    outcome = run(knock("early"), "nat home address 203.0.113.77", knock("late", "203.0.113.77"))
    assert outcome.output("alice") == ["ready", "early"]
    assert outcome.payloads("home.outside")[-1] == "late"
    assert outcome.payloads("home.inside") == ["hello", "early"]


@pytest.mark.parametrize("label", ["alice", "home.inside", "home.outside", "hub"])
def test_a_link_that_is_down_passes_nothing_until_it_is_up(run, label):
    outcome = run(knock("in-before"), ask("out-before"), f"link {label} down", mark("down"), knock("in-meanwhile"),
                  call("out-meanwhile"), mark("up"), f"link {label} up", knock("in-after"), ask("out-after"))
    assert "in-before" in outcome.output("alice") and "in-after" in outcome.output("alice")
    assert "out-before 203.0.113.2" in outcome.output("hub") and "out-after 203.0.113.2" in outcome.output("hub")
    # A host may hold back what it cannot send, and send it when the link is up.
    moments = outcome.moments("bob")
    for text, point in (("in-meanwhile", "home.inside"), ("out-meanwhile", "hub")):
        if (label, text) == ("alice", "in-meanwhile"):
            continue  # home cannot know that her end is out, and sends
        arrived = outcome.moments(point).get(text)
        assert arrived is None or arrived > moments["up"] > moments["down"], (text, point)
    if label == "alice":
        assert outcome.output("alice") == ["ready", "in-before", "in-after"]


def test_a_command_runs_on_its_host(run):
    outcome = run(call("here-i-am"))
    assert outcome.output("hub") == ["ready", "here-i-am 203.0.113.2"]
    assert "here-i-am" in outcome.payloads("home.inside")


def test_a_command_that_fails_fails_the_run_by_number(run):
    outcome = run("host alice run sh -c 'echo no use >&2; exit 3'", status=1)
    assert "[step 1]" in outcome.reasons and "3" in outcome.reasons and "no use" in outcome.reasons


def test_a_killed_program_is_gone(run):
    """Nobody has the port any more: the same question gets an answer before, and is refused after."""
    outcome = run(ask("before"), "host hub kill", ask("after"), status=1)
    assert "Connection refused" in outcome.reasons
    assert outcome.payloads("home.inside") == ["hello", "before", "answer to before", "after"]


def test_a_killed_program_ended_by_sigkill(run):
    outcome = run("host hub kill", expect="hub.exit = 137")
    assert outcome.cell["hosts"]["hub"]["program"]["exit"] == 137


def test_a_program_that_no_step_kills_still_runs(run):
    """What the one before rests on."""
    outcome = run(call("alive"), expect="hub.exit = 137", status=1)
    assert "still running" in outcome.reasons


def test_steps_happen_in_the_order_of_their_times(pinlab, write):
    steps = ("[step 1]\nat = 300ms\ndo = " + call("third") + "\n[step 2]\nat = 0s\ndo = " + call("first") +
             "\n[step 3]\nat = 150ms\ndo = " + call("second"))
    cell, _ = pinlab.cell(write(LAB.format(alice=ALICE, hub=HUB, steps=steps, expect="hub.class = direct")), status=0)
    said = Outcome(cell).output("hub")
    assert [line.split()[0] for line in said] == ["ready", "first", "second", "third"]
