# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machine does not allow or cannot do is a skip by name, and with --no-skip a failure."""

import os
import shutil
import subprocess

import pytest

from conftest import Pinlab

PLAIN = """[topology]
title = Anything
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = full-cone
{more}
[host alice]
behind = home
[host hub]
on = internet
"""

# A table that nft reads and this kernel may not have: hand packets to a program (NFQUEUE).
QUEUE = """table ip home {
    chain c_queue {
        type filter hook forward priority 0
        udp dport 9 queue num 0
    }
}
"""


@pytest.fixture
def fenced(nobody):
    """pinlab where no user namespace may be made, without any capability."""
    fence = ["unshare", "--user", "--map-root-user", "sh", "-c",
             'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --inh-caps=-all --bounding-set=-all "$@"', "sh"]
    return Pinlab(nobody.program, nobody.topologies, fence, {"HOME": "/", "TMPDIR": "/tmp"})


def test_without_user_namespaces_a_run_is_skipped_and_says_why(fenced, write):
    result = fenced.run("run", write(PLAIN.format(more=""))).expect(77)
    assert "user.max_user_namespaces" in result.text, result.text


def test_without_user_namespaces_the_matrix_counts_skips(fenced, write):
    result = fenced.run("matrix", write(PLAIN.format(more="")), "--json", "-").expect(77)
    report = result.json()
    assert report["totals"]["skipped"] == 1 and report["totals"]["passed"] == 0
    assert "user.max_user_namespaces" in report["cells"][0]["reasons"][0]


def test_without_user_namespaces_a_lab_to_work_in_is_none(fenced, write):
    result = fenced.run("up", write(PLAIN.format(more="")), "--name", f"fenced-{os.getpid()}").expect(77)
    assert "user.max_user_namespaces" in result.stderr


def test_no_skip_makes_that_a_failure(fenced, write):
    result = fenced.run("matrix", write(PLAIN.format(more="")), "--no-skip", "--json", "-").expect(1)
    assert "user.max_user_namespaces" in result.text


def in_a_container(pinlab, *fences):
    """pinlab as root of a user namespace in which these have been done before."""
    return Pinlab(pinlab.program, pinlab.topologies,
                  ["unshare", "-Urmpf", "--mount-proc", "sh", "-c", " && ".join([*fences, 'exec "$@"']), "sh"],
                  {"HOME": "/", "TMPDIR": "/tmp"})


# As container engines do it.
COVER = "mount -t tmpfs covered /proc/fs"
READ_ONLY = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys"


def test_in_a_container_with_the_documented_options_it_runs(pinlab):
    in_a_container(pinlab, "true").run("run", pinlab.topologies / "port-restricted.ini", "--no-skip").expect(0)


def test_in_a_container_covered_parts_of_proc_do_no_harm(pinlab):
    in_a_container(pinlab, COVER).run("run", pinlab.topologies / "port-restricted.ini", "--no-skip").expect(0)


def test_in_a_container_the_option_that_is_missing_is_named(pinlab):
    result = in_a_container(pinlab, COVER, READ_ONLY).run("run", pinlab.topologies / "open.ini").expect(77)
    assert "systempaths=unconfined" in result.text and "/proc/sys/net" in result.text, result.text


@pytest.mark.parametrize("kind", ["pid", "mnt", "net"])
def test_a_kind_of_namespace_that_may_not_be_made_is_named(pinlab, kind):
    switch = f"user.max_{kind}_namespaces"
    fence = f"echo 0 >/proc/sys/{switch.replace('.', '/')}"
    result = in_a_container(pinlab, fence).run("run", pinlab.topologies / "open.ini").expect(77)
    assert f"{switch} is 0" in result.text and f"sysctl -w {switch}=" in result.text


# A filter as container engines have it (Docker's default profile, in short): no new namespaces, no mounts, and clone3 is
# not there, so that nobody asks what its arguments are. Then it runs the rest of its arguments.
FILTER = """
import ctypes, os, platform, struct, sys

CLONE, CLONE3, UNSHARE, MOUNT = {"x86_64": (56, 435, 272, 165), "aarch64": (220, 435, 97, 40)}[platform.machine()]
ALLOW, ENOSYS, EPERM, NAMESPACES = 0x7FFF0000, 0x50026, 0x50001, 0x7E020000
LOAD, EQUAL, SET, RETURN = 0x20, 0x15, 0x45, 0x06
code = [(LOAD, 0, 0, 0), (EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, ENOSYS), (EQUAL, 1, 0, UNSHARE),
        (EQUAL, 0, 1, MOUNT), (RETURN, 0, 0, EPERM), (EQUAL, 1, 0, CLONE), (RETURN, 0, 0, ALLOW),
        (LOAD, 0, 0, 16), (SET, 0, 1, NAMESPACES), (RETURN, 0, 0, EPERM), (RETURN, 0, 0, ALLOW)]
text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(text)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(program), 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("command", ["run", "up"])
def test_a_system_call_filter_is_named(nobody, command):
    filtered = Pinlab(nobody.program, nobody.topologies, [*nobody.prefix, "/usr/bin/python3", "-c", FILTER],
                      {"HOME": "/", "TMPDIR": "/tmp"})
    result = filtered.run(command, nobody.topologies / "open.ini").expect(77)
    assert "a seccomp filter forbids it" in result.text and "seccomp=unconfined" in result.text, result.text


def test_without_the_capability_in_a_changed_root_it_says_why(pinlab):
    """chroot takes user namespaces away."""
    fences = ["mount --rbind / /mnt", 'exec chroot /mnt setpriv --inh-caps=-all --bounding-set=-all "$@"']
    result = in_a_container(pinlab, *fences).run("run", pinlab.topologies / "open.ini").expect(77)
    assert "user namespaces are not permitted here" in result.text and "a chroot" in result.text, result.text


def with_tun(nobody, *fences, privileged=False):
    """pinlab where /dev/net is made anew, in a mount namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can make devices")
    script = " && ".join(["mount -t tmpfs tun /dev/net", *fences, 'exec "$@"'])
    prefix = [] if privileged else nobody.prefix
    return Pinlab(nobody.program, nobody.topologies, ["unshare", "-m", "sh", "-c", script, "sh", *prefix],
                  {"HOME": "/", "TMPDIR": "/tmp"})


TUN = "mknod -m {mode} /dev/net/tun c 10 200"


def test_engine_fabric_needs_no_root_where_everybody_may_use_tun(nobody):
    with_tun(nobody, TUN.format(mode=666)).run("run", "port-restricted", "--engine", "fabric", "--no-skip").expect(0)


@pytest.mark.parametrize("privileged", [False, True], ids=["nobody", "root"])
@pytest.mark.parametrize("command", ["run", "up"])
def test_without_tun_engine_fabric_says_how_to_get_it(nobody, command, privileged):
    fenced = with_tun(nobody, privileged=privileged)
    result = fenced.run(command, "port-restricted", "--engine", "fabric").expect(77)
    said = " ".join(result.text.split())
    assert "/dev/net/tun (No such file or directory)" in said and "--device /dev/net/tun" in said
    assert fenced.run("run", "port-restricted").expect(0)


def test_a_tun_that_is_roots_alone_is_said_with_what_permits_it(nobody):
    result = with_tun(nobody, TUN.format(mode=600)).run("run", "port-restricted", "--engine", "fabric").expect(77)
    said = " ".join(result.text.split())
    assert "/dev/net/tun (Permission denied)" in said and "chmod 0666 /dev/net/tun" in said


def test_the_matrix_on_fabric_without_tun_is_all_skipped(nobody):
    cells = with_tun(nobody).run("matrix", "full-cone", "open", "--engine", "fabric", "--json", "-").expect(77).json()
    assert cells["totals"]["skipped"] == 2


def kernel_has_queue(tmp_path):
    rules = tmp_path / "queue.nft"
    rules.write_text(QUEUE)
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", shutil.which("nft") or "/usr/sbin/nft", "-f", str(rules)],
        stderr=subprocess.DEVNULL, check=False, timeout=30,
    ).returncode == 0


def test_a_kernel_feature_that_is_absent_is_skipped_by_name(pinlab, write, tmp_path):
    if kernel_has_queue(tmp_path):
        pytest.skip("this kernel has nft queue")
    path = write(PLAIN.format(more="rules = queue.nft"))
    cell, result = pinlab.cell(path, status=77)
    assert cell["verdict"] == "skip"
    assert "kernel has no" in cell["reasons"][0] and "queue.nft:4" in cell["reasons"][0], cell["reasons"]
    pinlab.run("matrix", path, "--no-skip").expect(1)


def test_what_the_engine_cannot_express_is_refused_by_name(pinlab, write):
    """conntrack refreshes on every packet, whichever way it goes."""
    path = write(PLAIN.format(more="inbound-refresh = no"))
    cell, _ = pinlab.cell(path, status=77)
    assert "kernel cannot express" in cell["reasons"][0] and "home" in cell["reasons"][0], cell["reasons"]


def test_one_pass_beside_a_skip_is_a_pass(pinlab, write):
    good = write(PLAIN.format(more=""), "good.ini")
    skipped = write(PLAIN.format(more="inbound-refresh = no"), "skipped.ini")
    totals = pinlab.run("matrix", good, skipped, "--json", "-").expect(0).json()["totals"]
    assert (totals["passed"], totals["failed"], totals["skipped"]) == (1, 0, 1)
    pinlab.run("matrix", good, skipped, "--no-skip").expect(1)


def test_rules_that_nft_does_not_understand_are_told_with_their_line(pinlab, write, tmp_path):
    (tmp_path / "wrong.nft").write_text("table ip home {\n    chain c_x {\n        frobnicate\n    }\n}\n")
    cell, _ = pinlab.cell(write(PLAIN.format(more="rules = wrong.nft")), status=2)
    assert "wrong.nft:3: " in " ".join(cell["reasons"]), cell["reasons"]


WRONG_RULES = {
    "nft does not understand": "table ip home {\n    chain c_queue { # no queue here\n        frobnicate\n    }\n}\n",
    "nft finds no such set": "table ip home {\n    chain c_queue { # no queue here\n        ip saddr @x drop\n    }\n}\n",
    "the kernel refuses": """table ip home {
    chain c_queue { # no queue here
        log prefix "no queue here" jump nowhere
    }
}
""",
    "the kernel cannot do there": """table ip home {
    chain c_queue { type filter hook forward priority 0
        masquerade
    }
}
""",
}


@pytest.mark.parametrize("name", WRONG_RULES)
def test_wrong_rules_are_bad_input_and_no_skip(pinlab, write, tmp_path, name):
    """Whatever this kernel may lack that is only named, in a comment, a string or a part of a name."""
    (tmp_path / "wrong.nft").write_text(WRONG_RULES[name])
    path = write(PLAIN.format(more="rules = wrong.nft"))
    cell, _ = pinlab.cell(path, status=2)
    assert cell["verdict"] == "fail" and cell["bad_input"] and "wrong.nft:3: " in cell["reasons"][0], cell["reasons"]
    assert "wrong.nft:3: " in pinlab.run("run", path).expect(2).text


def test_wrong_rules_stop_no_other_cell(pinlab, write, tmp_path):
    (tmp_path / "wrong.nft").write_text("frobnicate\n")
    wrong = write(PLAIN.format(more="rules = wrong.nft"), "wrong.ini")
    totals = pinlab.run("matrix", write(PLAIN.format(more="")), wrong, "--json", "-").expect(2).json()["totals"]
    assert (totals["passed"], totals["failed"], totals["skipped"]) == (1, 1, 0)
