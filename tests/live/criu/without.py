#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command for which the kernel has not a certain system call: a filter answers ENOSYS.
Usage: without.py CALL CMD ARG..."""

import ctypes
import os
import platform
import struct
import sys

CALLS = {"close_range": 436}
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
ALLOW, ERRNO, ENOSYS = 0x7FFF0000, 0x00050000, 38


def forbid(call):
    steps = [(LOAD, 0, 0, 4), (EQUAL, 0, 3, AUDIT_ARCH[platform.machine()]), (LOAD, 0, 0, 0),
             (EQUAL, 0, 1, CALLS[call]), (RETURN, 0, 0, ERRNO | ENOSYS), (RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps),
                                                      ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
            libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
        sys.exit(f"no filter: {os.strerror(ctypes.get_errno())}")
    if libc.syscall(CALLS[call], 100000, 100001, 0) != -1 or ctypes.get_errno() != ENOSYS:
        sys.exit(f"{call} is still there")


if __name__ == "__main__":
    forbid(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])
