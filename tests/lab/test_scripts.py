# SPDX-License-Identifier: GPL-2.0-or-later
"""The shell programs of netns-scripts/: they are what pinlab writes, and the NATs that they wire behave as their names
say, as seen by sockets of ours and nobody's prober."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, LIMIT_SECONDS

SCRIPTS = ROOT / "netns-scripts"
SEED = 1

# Sees of alice's mapping: "none" (her own address), "same" (one for all), "each"; of filtering: who gets in beside the
# one that she sent to.
BEHAVIOURS = {
    "open": ("none", {"other port", "other address"}),
    "firewall": ("none", set()),
    "full-cone": ("same", {"other port", "other address"}),
    "restricted": ("same", {"other port"}),
    "port-restricted": ("same", set()),
    "symmetric": ("each", set()),
}

# Sockets in a namespace, moved by lines of JSON: [call, socket, argument...].
AGENT = """
import json, socket, sys
sockets = {}
for line in sys.stdin:
    call, name, *arguments = json.loads(line)
    if call == "bind":
        sockets[name] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sockets[name].bind(tuple(arguments))
        sockets[name].settimeout(10)
        answer = sockets[name].getsockname()
    elif call == "send":
        answer = sockets[name].sendto(arguments[0].encode(), tuple(arguments[1]))
    else:
        data, source = sockets[name].recvfrom(2048)
        answer = [data.decode(), source]
    print(json.dumps(answer), flush=True)
"""


class Agent:
    def __init__(self, namespace):
        self.process = subprocess.Popen(["ip", "netns", "exec", namespace, sys.executable, "-c", AGENT],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, *call):
        print(json.dumps(call), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


def probe(lab):
    """What alice's NAT does to two of her sockets; runs inside the namespaces."""
    alice, hub = Agent(f"{lab}.alice"), Agent(f"{lab}.hub")
    ends = {"one": ("203.0.113.10", 4000), "other port": ("203.0.113.10", 4001), "other address": ("203.0.113.11", 4000)}
    for name, end in ends.items():
        hub("bind", name, *end)
    own = alice("bind", "mapping", "0.0.0.0", 5000)
    seen = []
    for name, end in ends.items():
        alice("send", "mapping", "x", end)
        seen.append(tuple(hub("recv", name)[1]))
    local = json.loads(subprocess.run(["ip", "-n", f"{lab}.alice", "-j", "-4", "address", "show", "eth0"], check=True,
                                      capture_output=True, text=True).stdout)[0]["addr_info"][0]["local"]
    mapping = "each" if len(set(seen)) == 3 else "mixed" if len(set(seen)) == 2 else "same"
    if mapping == "same" and seen[0] == (local, own[1]):
        mapping = "none"
    alice("bind", "filtering", "0.0.0.0", 5001)
    alice("send", "filtering", "x", ends["one"])
    external = hub("recv", "one")[1]
    # The one that must get through comes last: when it is there, all that was let in is.
    for name in ("other port", "other address", "one"):
        hub("send", name, name, external)
    heard = []
    while "one" not in heard:
        heard.append(alice("recv", "filtering")[0])
    return {"mapping": mapping, "heard": sorted(set(heard) - {"one"})}


def in_namespaces(*command):
    return subprocess.run(["unshare", "-Urnm", *map(str, command)], capture_output=True, text=True, check=False,
                          timeout=LIMIT_SECONDS, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_script_is_what_pinlab_writes(pinlab, name):
    assert (SCRIPTS / name).read_text() == pinlab.run("script", ROOT / f"topologies/{name}.ini",
                                                      "--seed", SEED).expect(0).stdout
    assert os.access(SCRIPTS / name, os.X_OK)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_scripts_nat_behaves_as_its_name_says(name):
    done = in_namespaces("sh", "-ec", f'"{SCRIPTS / name}" up; "{sys.executable}" "{__file__}" {name}; '
                         f'"{SCRIPTS / name}" down; ip netns list')
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    mapping, heard = BEHAVIOURS[name]
    assert json.loads(lines[0]) == {"mapping": mapping, "heard": sorted(heard)}
    assert lines[1:] == [], "down leaves nothing"
    assert not list(Path("/run/netns").glob(f"{name}.*")), "and the machine's own names were never touched"


def test_up_twice_is_refused_and_harms_nothing():
    script = SCRIPTS / "open"
    done = in_namespaces("sh", "-c", f'"{script}" up && ! "{script}" up && ip netns list | wc -l')
    assert done.returncode == 0 and done.stdout.strip() == "4", done.stdout + done.stderr
    assert "is there already" in done.stderr


def test_half_a_lab_is_taken_down(tmp_path):
    """nft fails: nothing of what was made before stays."""
    fake = tmp_path / "nft"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    done = in_namespaces("sh", "-c", f'PATH={tmp_path}:$PATH "{SCRIPTS / "symmetric"}" up; echo $?; ip netns list')
    assert done.stdout.split() == ["1"], done.stdout + done.stderr


def test_no_text_of_a_topology_becomes_a_command(pinlab, write, tmp_path):
    """Title, about, file name and the rules of a user can say what they like."""
    evil = r"x\n touch %s/evil\n$(touch %s/evil)`touch %s/evil`" % (tmp_path, tmp_path, tmp_path)
    (tmp_path / "own.nft").write_text(f"# NFT\nNFT\ntouch {tmp_path}/evil\n$(touch {tmp_path}/evil)\n")
    path = write(f"[topology]\ntitle = {evil}\nabout = {evil}\n[network internet]\nsubnet = 203.0.113.0/24\n"
                 "[nat home]\noutside = internet\ninside = 192.168.1.0/24\nbehaviour = full-cone\nrules = own.nft\n"
                 "[host alice]\nbehind = home\n[host hub]\non = internet\n", "a $(touch evil) 'b.ini")
    script = tmp_path / "script.sh"
    script.write_text(pinlab.run("script", path).expect(0).stdout)
    subprocess.run(["shellcheck", script], check=True, timeout=60)
    done = in_namespaces("sh", "-c", f"cd {tmp_path} && sh script.sh up")
    assert done.returncode != 0 and "syntax error" in done.stderr, done.stderr  # nft's, of the line NFT
    assert not list(tmp_path.glob("**/evil"))


def test_what_the_kernel_cannot_wire_is_named(pinlab, write):
    path = write("[topology]\ntitle = T\n[network internet]\nsubnet = 203.0.113.0/24\n[host alice]\non = internet\n"
                 "[host bob]\non = internet\n[link alice]\ndelay = 10ms\n")
    assert "cannot express link alice delay" in pinlab.run("script", path).expect(77).stderr


if __name__ == "__main__":
    print(json.dumps(probe(sys.argv[1])))
