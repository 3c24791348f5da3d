"""The filter by running it here, call by call, and once for real."""

import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sandbox import seccomp
from harness.sandbox.seccomp import ALLOW, AUDIT_ARCH, FAIL, KILL, assemble
from harness.sandbox.syscall_numbers import ALLOWED, FILTERED, numbers

OWN = 1
EPERM, ENOSYS = FAIL | 1, FAIL | 38
MACHINES = tuple(AUDIT_ARCH)
PROGRAMS = {machine: assemble(machine, OWN) for machine in MACHINES}
WORDS = st.integers(0, 2**64 - 1)


def decide(machine, number, *arguments, architecture=None):
    """What the kernel would answer: classic BPF over `struct seccomp_data`."""
    found = AUDIT_ARCH[machine] if architecture is None else architecture
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("=IIQ6Q", number, found, 0, *(each % 2**64 for each in padded))
    program, position, value = PROGRAMS[machine], 0, 0
    while True:
        code, if_true, if_false, constant = program[position]
        position += 1
        if code == 0x06:
            return constant
        if code == 0x20:
            (value,) = struct.unpack_from("=I", data, constant)
            continue
        holds = {0x15: value == constant, 0x35: value >= constant, 0x45: bool(value & constant)}
        position += if_true if holds[code] else if_false


def call(machine, name, *arguments):
    return decide(machine, numbers(FILTERED, machine)[name], *arguments)


@pytest.mark.parametrize("machine", MACHINES)
def test_exactly_the_listed_calls_are_allowed_whatever_their_arguments(machine):
    allowed = set(numbers(ALLOWED, machine).values())
    filtered = set(numbers(FILTERED, machine).values())
    assert not allowed & filtered
    for number in range(1024):
        if number not in filtered:
            assert decide(machine, number) == (ALLOW if number in allowed else EPERM)


@pytest.mark.parametrize("machine", MACHINES)
@given(number=st.integers(0, 2**32 - 1), arguments=st.lists(WORDS, max_size=6))
def test_another_architecture_is_killed(machine, number, arguments):
    for other in {*AUDIT_ARCH.values(), 0x40000003, 0x40000028} - {AUDIT_ARCH[machine]}:
        assert decide(machine, number, *arguments, architecture=other) == KILL


@given(number=st.integers(0x4000_0000, 2**32 - 1), arguments=st.lists(WORDS, max_size=6))
def test_the_x32_table_is_killed(number, arguments):
    assert decide("x86_64", number, *arguments) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_filtered_calls(machine):
    thread = 0x3D0F00  # what the C library passes for a thread
    assert call(machine, "clone", thread) == ALLOW
    assert call(machine, "clone", 17) == EPERM  # SIGCHLD alone: a process
    for namespace in (0x20000, *(1 << bit for bit in range(25, 31)), 0x8000):
        assert call(machine, "clone", thread | namespace) == EPERM
    assert call(machine, "clone3", 0, 88) == ENOSYS
    for name in ("kill", "tgkill"):
        assert call(machine, name, OWN) == ALLOW
        assert call(machine, name, 2) == call(machine, name, 0) == EPERM
        assert call(machine, name, -1) == EPERM
    assert call(machine, "prlimit64", 0) == ALLOW
    assert call(machine, "prlimit64", OWN) == EPERM
    assert call(machine, "socketpair", 1) == ALLOW
    assert call(machine, "socketpair", 2) == EPERM
    assert call(machine, "sendto", 3, 99, 1, 0, 0) == ALLOW
    assert call(machine, "sendto", 3, 99, 1, 0, 1 << 40) == EPERM
    assert call(machine, "sendto", 3, 99, 1, 0, 1) == EPERM
    assert call(machine, "fcntl", 3, 2) == ALLOW
    assert (
        call(machine, "fcntl", 3, 8) == call(machine, "fcntl", 3, 10) == EPERM
    )  # F_SETOWN, F_SETSIG
    assert call(machine, "ioctl", 3, 0x5421) == ALLOW
    assert call(machine, "ioctl", 3, 0x5412) == EPERM  # TIOCSTI


@pytest.mark.parametrize("machine", MACHINES)
@given(argument=WORDS)
def test_no_flag_beside_a_threads_makes_a_process_or_a_namespace(machine, argument):
    allowed = call(machine, "clone", argument) == ALLOW
    assert allowed == (bool(argument & 0x10000) and not argument & 0x7E028000)


@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_with_a_way_out_is_listed(machine):
    listed = {*numbers(ALLOWED, machine), *numbers(FILTERED, machine)}
    out = "socket connect bind listen accept sendmsg execve execveat fork vfork ptrace bpf mount "
    out += "umount2 pivot_root chroot unshare setns io_uring_setup io_uring_enter keyctl add_key "
    out += "process_vm_readv process_vm_writev pidfd_open pidfd_getfd pidfd_send_signal kcmp "
    out += "perf_event_open userfaultfd memfd_create shmget msgget mq_open setsid setpgid prctl "
    out += "seccomp personality setuid setresuid capset init_module reboot swapon mknod mknodat "
    out += "open_by_handle_at name_to_handle_at fsopen move_mount tkill rt_sigqueueinfo setxattr"
    assert not listed & set(out.split())


HEADERS = {
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_the_kernels(machine):
    header = Path(HEADERS[machine])
    if not header.exists():
        pytest.skip(f"{header} is not installed (linux-libc-dev)")
    text = header.read_text()
    kernels = {name: int(number) for name, number in re.findall(r"__NR(?:3264)?_(\w+) (\d+)", text)}
    aliases = re.findall(r"#define __NR_(\w+) __NR3264_(\w+)", text)  # newfstatat is fstatat there
    kernels.update({new: kernels[old] for new, old in aliases if old in kernels})
    ours = {**numbers(ALLOWED, machine), **numbers(FILTERED, machine)}
    assert ours == {name: kernels.get(name) for name in ours}
    missing = {row.split()[0] for row in (ALLOWED + FILTERED).splitlines() if row} - {*ours, "#"}
    assert not missing & set(kernels)


def test_every_jump_stays_inside():
    for program in PROGRAMS.values():
        assert len(program) < 4096  # BPF_MAXINSNS
        for position, (_, if_true, if_false, _) in enumerate(program):
            assert 0 <= if_true < 256
            assert position + 1 + max(if_true, if_false) < len(program) + 1


def test_it_is_known_whether_this_machine_has_it():
    import platform

    assert seccomp.supported() in (True, False)
    if platform.machine() not in AUDIT_ARCH:
        assert not seccomp.supported()
