#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad input to a process under the shim: on its control socket, by two who want different things at
once, and in the place of its runtime directory. The program must go on and be right, and what is
refused must say why."""

import argparse
import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "failure"))
from harness import Machine, Victim, expect, run_all  # noqa: E402

NOBODY = 65534
STATUS = b"\x08\x01\x12\x00"  # version 1, verb status


def path_of(machine, victim):
    found = list((machine.work / "run").glob(f"{victim.pid}-*.sock"))
    expect(len(found) == 1, f"its sockets: {found}")
    return found[0]


def connect(path):
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(str(path))
    peer.settimeout(20)
    return peer


def frame(message):
    return struct.pack("<I", len(message)) + message


def read_all(peer):
    """What comes until the other side closes."""
    parts = []
    try:
        while part := peer.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def ask(path, data):
    with connect(path) as peer:
        try:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, OSError):
            pass
        return read_all(peer)


def number_of(victim, folder):
    return len(os.listdir(f"/proc/{victim.pid}/{folder}"))


def settle(victim, folder, wanted):
    end = time.monotonic() + 20
    while number_of(victim, folder) > wanted:
        expect(time.monotonic() < end, f"{number_of(victim, folder)} in {folder}, not {wanted}")
        time.sleep(0.05)


def garbage(build):
    with Machine(build) as machine, Victim(machine) as victim:
        path = path_of(machine, victim)
        threads, descriptors = number_of(victim, "task"), number_of(victim, "fd")
        expect(len(ask(path, frame(STATUS))) > 4, "a good request gets no answer")
        for data in (b"", b"\0", b"GET / HTTP/1.1\r\n\r\n", os.urandom(5000), b"\xff" * 4,
                     struct.pack("<I", 1 << 31) + b"x" * 100, struct.pack("<I", 65537),
                     struct.pack("<I", 100) + b"\x08\x01", frame(os.urandom(300)),
                     frame(b"\xff" * 65536), frame(b"\x1a\xff\xff\xff\xff\x0f")):
            ask(path, data)
        for message, reason in ((b"\x08\x01", b"no verb"), (b"\x08\x63\x12\x00", b"version 99"),
                                (b"", b"no verb"), (b"\x08\x01\xa2\x06\x00", b"no verb"),
                                # Deadlines: none, not a number, infinite, negative.
                                (b"\x08\x01\x1a\x00", b"deadline"),
                                (b"\x08\x01\x1a\x09\x09" + struct.pack("<d", float("nan")),
                                 b"deadline"),
                                (b"\x08\x01\x1a\x09\x09" + struct.pack("<d", float("inf")),
                                 b"deadline"),
                                (b"\x08\x01\x1a\x09\x09" + struct.pack("<d", -1.0), b"deadline")):
            answer = ask(path, frame(message))
            expect(reason in answer, f"{message}: `{reason}` is not in {answer}")
        settle(victim, "task", threads)
        settle(victim, "fd", descriptors)
        victim.check()
        victim.suspend()
        victim.resume()
        victim.check()


def silent_peers(build):
    """They hold nobody up, and are given up after a while."""
    with Machine(build) as machine, Victim(machine) as victim:
        path = path_of(machine, victim)
        threads, descriptors = number_of(victim, "task"), number_of(victim, "fd")
        peers = [connect(path) for _ in range(100)]
        for peer in peers[:50]:
            peer.sendall(b"\x04\0")
        victim.suspend()
        victim.resume()
        victim.check("with silent peers")
        settle(victim, "task", threads)
        settle(victim, "fd", descriptors)
        for peer in peers:
            peer.close()


def sockets_closed(build):
    """By the program, which does not know what they are for: it is spoken to at another one, and no
    thread of ours turns in circles."""
    with Machine(build) as machine, Victim(machine, program="releaser") as victim:
        victim.do("sockets")
        end = time.monotonic() + 20
        while not any(said["state"] == "running" for said in everybody(machine)):
            expect(time.monotonic() < end, f"it is not reached: {everybody(machine)}")
            time.sleep(0.1)
        before = cpu_seconds(victim)
        time.sleep(1)
        expect(cpu_seconds(victim) - before < 0.5, "it is busy with something")
        victim.suspend()
        victim.resume()
        victim.check("its sockets were closed")


def pipe_closed(build):
    """As if for a copy by CRIU it has left its socket, and waits at a pipe. That the program closes,
    and opens one of its own with the same numbers: nobody reads from that, nor closes it."""
    with Machine(build) as machine, Victim(machine, program="releaser") as victim:
        done = subprocess.run([machine.build / "bin/shadowcl", "criu-hook", "pause",
                               str(victim.pid)], env=machine.environment, capture_output=True,
                              text=True, timeout=60)
        expect(done.returncode == 0, f"it does not leave: {done.stderr}")
        victim.do("pipes")
        end = time.monotonic() + 20
        while not any(said["state"] == "suspended" for said in everybody(machine)):
            expect(time.monotonic() < end, f"it is not reached: {everybody(machine)}")
            time.sleep(0.1)
        victim.resume()
        victim.do("own")
        victim.check("its pipe was closed")
        expect("closed the pipe" in machine.log.read_text(), "the log does not say so")
        victim.suspend()
        victim.resume()
        victim.check()


def everybody(machine):
    said = subprocess.run([machine.build / "bin/shadowcl", "ps", "--json"], text=True,
                          env=machine.environment, capture_output=True)
    return json.loads(said.stdout)


def cpu_seconds(victim):
    with open(f"/proc/{victim.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def just_ending(build):
    """In its exit handlers it can't be suspended any more: that is waited for."""
    with Machine(build) as machine, Victim(machine, program="releaser") as victim:
        victim.say("quit")
        time.sleep(0.3)
        code, answer = machine.shadowcl("suspend", victim.pid)
        expect(code == 1 and answer["state"] == "gone", f"{code}: {answer}")
        expect(victim.process.wait(20) == 0, "it ended badly")


def just_ending_among_all(build):
    """It is no reason to leave the others running."""
    with Machine(build) as machine, Victim(machine, program="releaser") as ending, \
            Victim(machine) as victim:
        ending.say("quit")
        time.sleep(0.3)
        code, answer = machine.shadowcl("suspend", "--all")
        expect(code == 0 and answer["pid"] == victim.pid, f"{code}: {answer}")
        expect(answer["state"] == "suspended", f"{answer}")
        expect(ending.process.wait(20) == 0, "it ended badly")
        victim.resume()
        victim.check()


def leaves_before_answer(build):
    with Machine(build) as machine, Victim(machine) as victim:
        path = path_of(machine, victim)
        for _ in range(20):
            with connect(path) as peer:
                peer.sendall(frame(STATUS))
        victim.check()
        victim.suspend()
        victim.resume()
        victim.check()


def other_user(build):
    if os.geteuid():
        print("other_user: skipped, needs root")
        return
    with Machine(build) as machine, Victim(machine) as victim:
        path = path_of(machine, victim)
        expect(path.stat().st_mode & 0o777 == 0o600, f"its mode: {path.stat().st_mode:o}")
        # Even where the modes would let it in.
        for place in (machine.work, path.parent):
            place.chmod(0o755)
        path.chmod(0o666)
        code = (f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({str(path)!r});"
                f"s.sendall({frame(STATUS)!r}); print(len(s.recv(100)))")
        done = subprocess.run(["setpriv", f"--reuid={NOBODY}", "--clear-groups", sys.executable,
                               "-c", code], capture_output=True, text=True, timeout=30)
        expect(done.stdout.strip() in ("", "0"), f"another user is answered: {done.stdout}")
        expect("another user" in machine.log.read_text(), "the log does not say so")
        victim.check()


def two_at_once(build):
    with Machine(build) as machine, Victim(machine) as victim:
        for _ in range(5):
            answers = []

            def one():
                answers.append(machine.shadowcl("suspend", victim.pid))
            both = [threading.Thread(target=one) for _ in range(2)]
            for thread in both:
                thread.start()
            for thread in both:
                thread.join()
            expect(sorted(code for code, _ in answers) == [0, 1], f"one of two: {answers}")
            expect(victim.state() == "suspended", "suspended by one of two")
            victim.resume()
            victim.check()


def not_now(build):
    with Machine(build) as machine, Victim(machine) as victim:
        victim.refused("running", "resume", reason="not suspended")
        victim.check()
        victim.suspend()
        victim.refused("suspended", "suspend", reason="not running")
        victim.refused("suspended", "move", "--device", "0", reason="not running")
        victim.resume()
        victim.check()


def many_together(build):
    """Each takes its time to let go of its contexts: all of them together take little more."""
    with Machine(build) as machine, contextlib.ExitStack() as stack:
        victims = [stack.enter_context(Victim(machine)) for _ in range(16)]
        machine.set_faults("slow clReleaseContext 100000\n")
        for verb, state in (("suspend", "suspended"), ("resume", "running")):
            begin = time.monotonic()
            done = subprocess.run([machine.build / "bin/shadowcl", verb, "--all", "--json"],
                                  env=machine.environment, capture_output=True, text=True,
                                  timeout=120)
            took = time.monotonic() - begin
            answers = json.loads(done.stdout)
            expect(sorted(each["pid"] for each in answers) == sorted(v.pid for v in victims),
                   f"{verb}: asked {answers}")
            expect(all(each["state"] == state for each in answers), f"{verb}: {answers}")
            if verb == "suspend":
                each_took = [each["ms"]["total"] / 1e3 for each in answers]
                expect(min(each_took) >= 0.1, f"nothing was slow: {each_took}")
                expect(took < max(each_took) + 4, f"{took:.1f} s, the slowest {max(each_took):.1f}")
                expect(took < sum(each_took) / 2, f"{took:.1f} s, the sum {sum(each_took):.1f}")
                print(f"16 in {took:.2f} s, the slowest {max(each_took):.2f} s")
        for victim in victims:
            victim.check()


def killed_half_way(build):
    with Machine(build) as machine, Victim(machine) as victim:
        machine.set_faults("slow clReleaseMemObject 1000000\n")
        answer = []
        suspend = threading.Thread(
            target=lambda: answer.append(machine.shadowcl("suspend", victim.pid)))
        suspend.start()
        time.sleep(0.5)
        victim.process.kill()
        suspend.join()
        code, said = answer[0]
        expect(code == 1 and said["state"] == "gone" and said["error"], f"{code}: {said}")


def run_with(build, directory, words):
    """The program runs right; the log says why it can't be suspended."""
    with Machine(build) as machine:
        log = machine.work / "errors"
        machine.environment.update({"SHADOWCL_RUNTIME_DIR": str(directory(machine)),
                                    "SHADOWCL_LOG": f"error:{log}"})
        with Victim(machine, run=False) as victim:
            victim.do("step")
            victim.check()
            said = log.read_text() if log.exists() else ""
            expect("can't be suspended" in said, f"the log: {said!r}")
            for word in words:
                expect(word in said, f"`{word}` is not in the log: {said}")
            victim.quit()


def directory_missing(build):
    run_with(build, lambda machine: machine.work / "not/there", ("not/there",))


def directory_is_a_file(build):
    run_with(build, lambda machine: machine.build / "build.ninja", ("build.ninja",))


def directory_is_a_link(build):
    def link(machine):
        (machine.work / "link").symlink_to(machine.work / "run")
        return machine.work / "link"
    run_with(build, link, ("link",))


def directory_of_another(build):
    def foreign(machine):
        os.chown(machine.work / "run", NOBODY, NOBODY)
        return machine.work / "run"
    if os.geteuid() == 0:
        run_with(build, foreign, ("belongs to uid 65534",))


def directory_for_everybody(build):
    def everybody(machine):
        (machine.work / "run").chmod(0o777)
        return machine.work / "run"
    run_with(build, everybody, ("sticky",))


def directory_full(build):
    """No inode is left: root can't write there either."""
    with Machine(build) as machine:
        full = machine.work / "full"
        full.mkdir()
        log = machine.work / "errors"
        machine.environment.update({"SHADOWCL_RUNTIME_DIR": str(full),
                                    "SHADOWCL_LOG": f"error:{log}"})
        mount = ["unshare", "--mount", "--", "sh", "-c",
                 f"mount -t tmpfs -o %s none {full} && exec \"$0\" \"$@\""]
        for options in ("nr_inodes=1,mode=700", "ro,mode=700"):
            wrapper = [*mount[:-1], mount[-1] % options]
            if subprocess.run([*wrapper, "true"], stderr=subprocess.DEVNULL).returncode:
                print("directory_full: skipped, no right to mount")
                return
            log.unlink(missing_ok=True)
            with Victim(machine, wrapper=wrapper, run=False) as victim:
                victim.check(options)
                expect("can't be suspended" in log.read_text(), f"the log: {log.read_text()}")
                victim.quit()


def directory_with_a_long_name(build):
    with Machine(build) as machine:
        deep = machine.work / ("d" * 200) / ("e" * 200)
        deep.mkdir(parents=True)
        machine.environment["SHADOWCL_RUNTIME_DIR"] = str(deep)
        with Victim(machine) as victim:
            victim.suspend()
            victim.resume()
            victim.check()
            victim.quit()
        expect(not list(deep.iterdir()), f"left behind: {list(deep.iterdir())}")


TESTS = (garbage, silent_peers, sockets_closed, pipe_closed, just_ending, just_ending_among_all,
         leaves_before_answer, other_user, two_at_once, not_now, killed_half_way,
         directory_missing, directory_is_a_file, directory_is_a_link, directory_of_another,
         directory_for_everybody, directory_full, directory_with_a_long_name)

# Run when they are named.
OTHERS = (many_together,)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("tests", nargs="*")
    told = parser.parse_args()
    sys.exit(1 if run_all(TESTS + OTHERS if told.tests else TESTS, told.build, told.tests) else 0)
