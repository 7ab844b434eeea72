# SPDX-License-Identifier: GPL-2.0-or-later
"""What `cmake --install` puts somewhere works from there."""

import re
import shutil
import socket
import subprocess

import pytest

from conftest import ROOT


def test_the_installed_program_runs_from_its_prefix(nobody, installed, shared):
    assert nobody.program == installed / "bin/pinlab"
    nobody.run("--version", cwd=shared).expect(0)
    names = nobody.run("list", cwd=shared).expect(0).stdout
    for topology in (ROOT / "topologies").glob("*.ini"):
        assert topology.stem in names
    nobody.run("check", *sorted(nobody.topologies.glob("*.ini")), cwd=shared).expect(0)


def test_every_topology_and_document_is_installed(installed):
    for source, target in (("topologies", "share/pinlab/topologies"), ("docs", "share/doc/pinhole")):
        names = {path.relative_to(ROOT / source) for path in (ROOT / source).rglob("*") if path.suffix in (".ini", ".md")}
        assert names and names == {path for path in names if (installed / target / path).exists()}
    for path in ("README.md", "LICENSE", "LICENSES/MIT.txt", "LICENSES/GPL-2.0-or-later.txt"):
        assert (installed / "share/doc/pinhole" / path).read_text() == (ROOT / path).read_text()


def example(document, first, after=0):
    """The indented lines from `first` on, and the line where they end."""
    lines = (ROOT / document).read_text(encoding="utf-8").splitlines()
    start = lines.index("    " + first, after)
    end = next(i for i in range(start, len(lines)) if lines[i] and not lines[i].startswith("    "))
    return "\n".join(line[4:] for line in lines[start:end]), end


def without(topology, *groups):
    """A topology file's text without these groups."""
    parts = [part for part in ("\n" + topology).split("\n[") if part]
    return "".join(f"[{part}\n" for part in parts if part.split("]")[0] not in groups)


def test_the_topology_in_the_readme_passes(pinlab, write):
    pinlab.cell(write(example("README.md", "[topology]")[0]), status=0)


def test_the_program_in_the_readme_passes(pinlab, write):
    topology, end = example("README.md", "[topology]")
    program, _ = example("README.md", "[host alice]", end)
    cell, _ = pinlab.cell(write(without(topology, "host alice", "expect") + program), status=0)
    assert "1 received" in cell["hosts"]["alice"]["program"]["output"]


def test_the_whole_file_in_the_format_document_passes(pinlab, write):
    pinlab.cell(write(example("docs/topology-format.md", "[topology]")[0]), status=0)


def test_every_command_has_a_man_page(installed):
    pages = installed / "share/man/man1"
    commands = ("list", "check", "run", "matrix", "script", "up", "exec", "shell", "nat", "capture", "output", "labs",
                "down", "replay")
    for page in ("pinlab", *(f"pinlab-{command}" for command in commands),
                 "pinhole", *(f"pinhole-{command}" for command in ("hub", "classify", "watch", "reflex", "lifetime", "key", "node",
                                                                 "ping", "pipe", "status"))):
        text = subprocess.run(["man", "--warnings", str(pages / f"{page}.1")], capture_output=True, text=True, check=True,
                              timeout=60, env={"MANWIDTH": "100", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"})
        assert text.stderr == ""
        assert f"{page} - " in text.stdout and "Usage" not in text.stdout
        assert "--help" in text.stdout


@pytest.fixture
def build(installed, tmp_path):
    """Builds a program against the installed library, as pkg-config says; returns it and what it runs with."""
    (pkgconfig,) = installed.rglob("pkgconfig")

    def build_program(text, compiler=("cc",), source="main.c"):
        (tmp_path / source).write_text(text)
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "pinhole"], capture_output=True, text=True, check=True,
                               env={"PKG_CONFIG_PATH": str(pkgconfig), "PATH": "/usr/bin:/bin"}, timeout=60).stdout.split()
        subprocess.run([*compiler, "-Wall", "-Wextra", "-Wpedantic", "-Werror", source, "-o", "main", *flags], cwd=tmp_path,
                       check=True, timeout=60)
        return tmp_path / "main", {"LD_LIBRARY_PATH": str(pkgconfig.parent)}

    return build_program


def test_a_program_builds_against_the_installed_library(build):
    program, env = build(
        '#include <pinhole/address.h>\n#include <pinhole/version.h>\n#include <stdio.h>\n'
        "int main(void) { char text[PH_ADDRESS_TEXT_MAX]; PhAddress a = ph_address_ipv4(0xC0000201, 53);\n"
        'printf("%s %s\\n", ph_version(), ph_address_format(&a, text)); return 0; }\n')
    assert subprocess.run([program], env=env, capture_output=True, text=True, check=True, timeout=60).stdout == \
        "0.1.0 192.0.2.1:53\n"


def test_every_header_can_be_included_alone(installed, build):
    for header in sorted((installed / "include/pinhole").glob("*.h")):
        build(f"#include <pinhole/{header.name}>\nint main(void) {{ return 0; }}\n")


needs_cxx = pytest.mark.skipif(not shutil.which("c++"), reason="there is no C++ compiler (c++)")
CXX = ("c++", "-std=c++11")


@needs_cxx
def test_every_header_can_be_included_alone_in_cxx(installed, build):
    for header in sorted((installed / "include/pinhole").glob("*.h")):
        build(f"#include <pinhole/{header.name}>\n", (*CXX, "-fsyntax-only"), "main.cc")


@needs_cxx
def test_every_function_has_the_same_name_in_cxx(installed, build):
    headers = sorted((installed / "include/pinhole").glob("*.h"))
    functions = [name for header in headers for name in re.findall(r"^PH_EXPORT [^(]*?\b(ph_\w+)\(", header.read_text(), re.M)]
    assert {"ph_version", "ph_peers_open_async", "ph_node_new", "ph_station_new"} <= set(functions)
    includes = "".join(f"#include <pinhole/{header.name}>\n" for header in headers)
    taken = "".join(f"    sum += (unsigned long)&{name};\n" for name in functions)
    build(f"{includes}int main() {{\n    unsigned long sum = 0;\n{taken}    return sum == 0;\n}}\n", CXX, "main.cc")


@needs_cxx
def test_a_cxx_program_links_with_the_library(build):
    program, env = build(
        "#include <pinhole/address.h>\n#include <pinhole/classification.h>\n#include <pinhole/key.h>\n#include <cstdio>\n"
        "int main() { char text[PH_ADDRESS_TEXT_MAX], key[PH_KEY_TEXT_MAX]; PhKey zero = PhKey();\n"
        "PhAddress a = ph_address_ipv4(0xC0000201, 53);\n"
        'std::printf("%s %s %s\\n", ph_address_format(&a, text), ph_class_name(PH_CLASS_DIRECT),\n'
        "ph_key_format(&zero, key)); return 0; }\n",
        CXX, "main.cc")
    assert subprocess.run([program], env=env, capture_output=True, text=True, check=True, timeout=60).stdout == \
        f"192.0.2.1:53 direct {'A' * 43}=\n"


def test_the_embedding_document_says_how_to_build_and_start_its_program(installed, tmp_path):
    (tmp_path / "example.c").write_text(example("docs/embedding.md", "#include <pinhole/ask.h>")[0])
    lines, _ = example("docs/embedding.md", "export PKG_CONFIG_PATH=$(dirname $(find PREFIX -name pinhole.pc))")
    built = subprocess.run(["sh", "-ec", f"{lines.replace('PREFIX', str(installed))}\nexec ./example :"], cwd=tmp_path,
                           env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False, timeout=60)
    assert built.returncode == 1 and "expected a server" in built.stderr, built.stderr


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_the_program_in_the_embedding_document_watches(installed, build):
    program, env = build(example("docs/embedding.md", "#include <pinhole/ask.h>")[0])
    port = free_port()
    hub = [installed / "bin/pinhole", "hub", "--listen", f"127.0.0.1:{port}", "--listen", f"127.0.0.2:{port}",
           "--second-port", str(free_port())]
    with subprocess.Popen(hub, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout.readline().startswith("ready")
            with subprocess.Popen([program, f"127.0.0.1:{port}"], env=env, stdout=subprocess.PIPE, text=True) as client:
                try:
                    said = sorted([client.stdout.readline(), client.stdout.readline()])
                finally:
                    client.terminate()
        finally:
            server.terminate()
    assert re.fullmatch(r"direct, at 127\.0\.0\.1:\d+\n", said[0]) and re.fullmatch(r"seen at 127\.0\.0\.1:\d+\n", said[1])


def test_the_peers_in_the_embedding_document_greet_each_other(installed, build, tmp_path):
    program, env = build(example("docs/embedding.md", "#include <inttypes.h>")[0])
    port = free_port()
    made = subprocess.run([installed / "bin/pinhole", "key", "new", tmp_path / "hub.key"], capture_output=True, text=True,
                          check=True, timeout=60)
    at = f"{made.stdout.strip()}@127.0.0.1:{port}"
    hub = [installed / "bin/pinhole", "hub", "--listen", f"127.0.0.1:{port}", "--second-port", str(free_port()),
           "--key", tmp_path / "hub.key", "--no-control"]
    places = {name: tmp_path / name for name in ("alice", "bob")}
    for place in places.values():
        place.mkdir()
    with subprocess.Popen(hub, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout.readline().startswith("ready")
            with subprocess.Popen([program, at, "bob"], env=env, cwd=places["bob"], stdout=subprocess.PIPE, text=True) as bob:
                try:
                    assert bob.stdout.readline().startswith("registered")
                    alice = subprocess.run([program, at, "alice", "bob"], env=env, cwd=places["alice"], capture_output=True,
                                           text=True, check=True, timeout=60).stdout.splitlines()
                    while "alice says hello" not in (line := bob.stdout.readline()):
                        assert line
                finally:
                    bob.terminate()
        finally:
            server.terminate()
    assert "bob says hello" in alice and "messages-received 1" in alice
    assert any(line.startswith("bob: talking, ") for line in alice)
    replay = subprocess.run([installed / "bin/pinlab", "replay", places["alice"] / "peer.pcapng"], capture_output=True, text=True,
                            check=False, timeout=60)
    assert replay.returncode == 0 and "same" in replay.stdout, replay.stdout + replay.stderr
