"""How the programs are built: what their files say, and what is in the memory of those that run."""
import os
import re
import shutil
import subprocess

import pytest

import jail
from harness import ROOT, retry_until

PROGRAMS = ["pop3d", "pop3d-checkpw", "pop3d-checkpw-host", "pop3d-tls"]

pytestmark = [pytest.mark.skipif(jail.SANITIZED, reason="a build with sanitizers"),
              pytest.mark.skipif(shutil.which("readelf") is None, reason="needs binutils")]


def readelf(what, path):
    return subprocess.run(["readelf", "-W", what, path], capture_output=True, text=True, check=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout


@pytest.fixture(params=PROGRAMS)
def program(request, programs):
    path = os.path.join(programs.directory, "bin", request.param)
    if not os.path.exists(path):
        pytest.skip(f"there is no {request.param} in this build")
    return path


def test_address_layout_tables_and_stack(program):
    """Position-independent, all tables of pointers read-only after the start, no code on the stack."""
    assert re.search(r"Type: +DYN", readelf("-h", program))
    parts = readelf("-l", program)
    assert re.search(r"GNU_STACK .* RW +0x", parts), parts
    assert "GNU_RELRO" in parts
    dynamic = readelf("-d", program)
    assert "NEEDED" not in dynamic or re.search(r"\(FLAGS(_1)?\) .*NOW", dynamic), dynamic


def test_string_functions_are_checked(program):
    """musl has no checked ones."""
    imported = set(re.findall(r" UND (\w+)", readelf("--dyn-syms", program)))
    if not any(name.startswith("__libc_start") for name in imported):
        pytest.skip("a static program")
    assert "__stack_chk_fail" in imported
    assert "__snprintf_chk" in imported, imported


def test_what_the_compiler_was_told(program):
    """In the programs' debugging information, where they have it."""
    said = readelf("--debug-dump=info", program)
    flags = re.findall(r"DW_AT_producer .*: (GNU C11 .*)", said)
    if not flags:
        pytest.skip("no debugging information of gcc")
    for line in flags:
        assert "-fstack-protector-strong" in line, line
        assert "-fstack-clash-protection" in line, line
    dynamic = "NEEDED" in readelf("-d", program)
    if dynamic and os.uname().machine == "x86_64":
        assert all("-fcf-protection" in line for line in flags), flags


def parts_of(path):
    """[(kind, address, octets)] of a program's parts."""
    found = re.findall(r"^ +(\w+) +0x\w+ 0x(\w+) 0x\w+ 0x\w+ 0x(\w+)", readelf("-l", path),
                       re.MULTILINE)
    return [(kind, int(address, 16), int(octets, 16)) for kind, address, octets in found]


def check_tables_are_read_only(pid, path):
    page = os.sysconf("SC_PAGESIZE")
    with open(f"/proc/{pid}/maps", encoding="ascii") as file:
        maps = [(*(int(end, 16) for end in line.split()[0].split("-")), line.split()[1], line)
                for line in file]
    base = min(start for start, _, _, line in maps if line.rstrip().endswith("/" +
                                                                            os.path.basename(path)))
    start, octets = next((address, octets) for kind, address, octets in parts_of(path)
                         if kind == "GNU_RELRO")
    first, last = base + start // page * page, base + (start + octets) // page * page
    assert last > first
    inside = [(flags, line) for begin, end, flags, line in maps if begin < last and end > first]
    assert inside and all(flags.startswith("r--") for flags, _ in inside), inside


@pytest.mark.skipif(not ROOT, reason="/proc of a confined process is root's")
def test_tables_are_read_only_in_every_process(lab, home):
    home.add_seeds()
    server = lab.serve(home)
    server.line()
    roles = jail.Roles(server, lab.pop3d)
    greeter = retry_until(roles.child)
    for pid in (roles.monitor, greeter):
        check_tables_are_read_only(pid, lab.pop3d)
    server.ask(f"USER {home.login}")
    assert server.ask(f"PASS {home.password}").startswith("+OK"), server.report()
    check_tables_are_read_only(roles.wait_for_session(), lab.pop3d)


def test_what_every_process_writes_lies_on_few_pages(programs):
    """Large objects come after all others: each page costs a fault, a copy after fork and a release."""
    program = os.path.join(programs.directory, "bin", "pop3d")
    sizes = {name: int(octets, 16) for name, octets in re.findall(
        r"(\.(?:data|bss|bss\.large)) +(?:PROGBITS|NOBITS) +\w+ \w+ (\w+)", readelf("-S", program))}
    assert sizes[".bss.large"] > 2 ** 18
    if "NEEDED" not in readelf("-d", program):
        assert sizes[".data"] + sizes[".bss"] < 0x8000, sizes
    assert os.path.getsize(program) < 8 * 2 ** 20, "they take no room in the file"
