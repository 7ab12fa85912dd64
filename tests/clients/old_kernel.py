"""Runs a program as on Linux 3.10, the kernel of the systems that glibc 2.17 came with: what was added to Linux since then, it
has not. Only what a program is refused is like there; `old_kernel.py PROGRAM ARGUMENT…`."""

import ctypes
import errno
import os
import platform
import struct
import sys

# The first system call on x86-64 that came after 3.10, and the newest that there may be: sched_setattr (3.14) and whatever follows.
FIRST, ARCHITECTURE = 314, 0xC000003E
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD_WORD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000


def step(code, value, yes=0, no=0):
    return struct.pack("HBBI", code, yes, no, value)


def become_old():
    """From now on this process and its children have no system call that came after 3.10."""
    assert platform.machine() == "x86_64", "the numbers here are those of x86-64"
    program = b"".join([
        step(LOAD_WORD, 4),
        step(JUMP_IF_EQUAL, ARCHITECTURE, yes=0, no=2),
        step(LOAD_WORD, 0),
        step(JUMP_IF_AT_LEAST, FIRST, yes=1, no=0),
        step(RETURN, ALLOW),
        step(RETURN, REFUSE | errno.ENOSYS),
    ])  # fmt: skip
    held = ctypes.create_string_buffer(program)
    filters = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(held))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in [(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filters, 0, 0)]:
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    become_old()
    os.execvp(sys.argv[1], sys.argv[1:])
