# SPDX-License-Identifier: Apache-2.0
"""Many processes as one: those that refuse, hang or die half way; several users and pid namespaces."""
import json
import os
import signal
import subprocess
import time

from harness import BIN, Case, needs_root, NOBODY, run_tests, wait_until


def contained(case, *arguments):
    """A vadd under shadowcl in a pid namespace of its own, which sees the runtime directory elsewhere."""
    inside = os.path.join(case.top, "inside")
    os.mkdir(inside)
    script = (f"mount --bind {case.run} {inside} && mount -t proc proc /proc && "
              f"exec {BIN}/shadowcl run --runtime-dir {inside} -- {BIN}/sample-vadd \"$@\"")
    wrapper = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*wrapper, "true"], stderr=subprocess.DEVNULL).returncode:
        case.skipTest("no right to make a namespace")
    output = os.path.join(case.top, "contained")
    with open(output, "wb") as file:
        program = subprocess.Popen([*wrapper, "sh", "-c", script, "sh", *arguments],
                                   stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                   env=case.environment())
    program.output = output
    case.programs.append(program)
    wait_until(lambda: b"round" in case.read(output), "the program is at work")
    return program


class Processes(Case):
    def three(self, *last):
        return [self.peer(), self.peer(), self.peer(*last)]

    def test_one_refuses(self):
        peers = self.three("suspend=refuse")
        host = self.started()
        error = host.fails("Failed", "suspend")
        self.assertIn(f"process {peers[2].pid} hashcat: kernel `solve`", error["object"])
        self.assertIn("did not end before the deadline", error["reason"])
        data = error["data"]["processes"]
        self.assertEqual([each["state"] for each in data], ["running"] * 3)
        self.assertIn(f"because process {peers[2].pid}", data[0]["error"]["reason"])
        self.expect_running(host)
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"]] * 2 + [["suspend 10"]])

    def test_one_refuses_by_force(self):
        peers = self.three("suspend=refuse")
        host = self.started()
        done = host.done("suspend", policy="force")
        self.assertEqual([each["state"] for each in done["processes"]],
                         ["suspended", "suspended", "running"])
        self.assertIn("did not end", done["processes"][2]["error"]["reason"])
        self.assertEqual(host.done("status")["state"], "suspended")
        done = host.done("resume")
        self.assertEqual([each["pid"] for each in done["processes"]],
                         sorted(peer.pid for peer in peers))
        self.expect_running(host)

    def test_one_hangs(self):
        """It took the request and says nothing more: the others go on."""
        peers = self.three("suspend=silent")
        host = self.started("--process-timeout", "1")
        error = host.fails("Failed", "suspend", deadline=0.5)
        self.assertIn(f"process {peers[2].pid}", error["object"])
        self.assertIn("no answer within 1.5 s", error["reason"])
        self.expect_running(host)
        self.assertEqual(self.logs()[:2], [["suspend 0.5", "resume  0"]] * 2)

    def test_one_is_late(self):
        """It did not answer in time and is suspended after all: it is waited for, and resumed."""
        peers = self.three("suspend=slow")
        host = self.started("--process-timeout", "2")
        error = host.fails("Failed", "suspend", deadline=0.2)
        self.assertIn(f"process {peers[2].pid}", error["object"])
        self.assertIn("no answer within 2.2 s", error["reason"])
        time.sleep(1)
        self.expect_running(host)
        self.assertEqual(self.logs(), [["suspend 0.2", "resume  0"]] * 3)

    def test_one_is_too_late(self):
        """Whoever may be suspended later keeps the state, and is named."""
        peers = self.three("suspend=slow")
        host = self.started("--process-timeout", "0.5")
        error = host.fails("Failed", "suspend", deadline=0.2)
        late = error["data"]["processes"][2]
        self.assertEqual([late["pid"], late["state"]], [peers[2].pid, "draining"])
        self.assertEqual(host.done("status")["state"], "suspended")
        wait_until(lambda: self.states(host)[peers[2].pid] == "suspended", "it is suspended")
        host.done("resume")
        self.expect_running(host)
        self.assertEqual(self.logs(), [["suspend 0.2", "resume  0"]] * 3)

    def test_one_is_stopped(self):
        """Found before anybody is asked."""
        peers = self.three()
        os.kill(peers[1].pid, signal.SIGSTOP)
        host = self.started()
        error = host.fails("Refused", "suspend")
        self.assertIn(f"process {peers[1].pid}", error["object"])
        self.assertIn("does not say its state", error["reason"])
        done = host.done("suspend", policy="force")
        self.assertEqual([each["state"] for each in done["processes"]],
                         ["suspended", "not answering", "suspended"])
        os.kill(peers[1].pid, signal.SIGCONT)
        host.done("resume")
        self.expect_running(host)
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"], [], ["suspend 10", "resume  0"]])

    def test_one_is_silent_at_the_resume(self):
        """It was not suspended: it is named, and holds up nobody."""
        peers = self.three()
        os.kill(peers[1].pid, signal.SIGSTOP)
        host = self.started()
        host.done("suspend", policy="force")
        done = host.done("resume")
        self.assertEqual([each["state"] for each in done["processes"]],
                         ["running", "not answering", "running"])
        self.assertIn("does not say its state", done["processes"][1]["error"]["reason"])
        self.assertEqual(host.done("status")["state"], "running")
        self.assertFalse(os.path.lexists(self.mark))
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"], [], ["suspend 10", "resume  0"]])

    def test_one_falls_silent_while_suspended(self):
        """The others go on; the state is kept for it."""
        peers = self.three()
        host = self.started()
        host.done("suspend")
        os.kill(peers[1].pid, signal.SIGSTOP)
        for _ in range(2):
            error = host.fails("Failed", "resume")
            self.assertIn(f"process {peers[1].pid}", error["object"])
            self.assertEqual([each["state"] for each in error["data"]["processes"]],
                             ["running", "not answering", "running"])
            self.assertEqual(host.done("status")["state"], "suspended")
        os.kill(peers[1].pid, signal.SIGCONT)
        host.done("resume")
        self.expect_running(host)
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"]] * 3)

    def test_one_dies(self):
        """What has ended needs not be carried."""
        for how in ("die", "die-half"):
            self.three(f"suspend={how}")
            host = self.host() if self.agent else self.started()
            done = host.done("suspend")
            self.assertEqual([each["state"] for each in done["processes"]],
                             ["suspended", "suspended", "gone"])
            self.assertEqual(len(host.done("resume")["processes"]), 2)
            self.expect_running(host)
            self.assertEqual(self.logs()[:2], [["suspend 10", "resume  0"]] * 2)

    def test_one_becomes_another_program(self):
        """It is not waited for. Seen in the middle of that, it is like one that fails."""
        self.peer()
        peer = self.peer("suspend=exec")
        self.peers.remove(peer)
        self.addCleanup(peer.process.wait)
        self.addCleanup(peer.process.kill)
        host = self.started()
        start = time.monotonic()
        answer = host.ask("suspend")
        self.assertLess(time.monotonic() - start, 10)
        if "return" in answer:
            states = sorted(each["state"] for each in answer["return"]["processes"])
            self.assertEqual(states, ["gone", "suspended"])
            host.done("resume")
        else:
            self.assertEqual(answer["error"]["class"], "Failed")
            self.assertIn(f"process {peer.pid} ", answer["error"]["object"])
        self.expect_running(host)

    def test_one_dies_while_suspended(self):
        peers = self.three()
        host = self.started()
        host.done("suspend")
        peers[1].process.kill()
        peers[1].process.wait()
        host.event("process", lambda data: data["state"] == "gone")
        self.assertEqual(len(host.done("resume")["processes"]), 2)
        self.expect_running(host)

    def test_one_says_nothing_of_its_end(self):
        """Suspended, but the answer was lost: it is found out."""
        for how in ("lost", "garbage", "oversized", "empty", "half"):
            peers = self.three(f"suspend={how}")
            host = self.host() if self.agent else self.started()
            error = host.fails("Failed", "suspend")
            self.assertIn(f"process {peers[2].pid}", error["object"])
            self.expect_running(host)
            self.logs()

    def test_odd_words(self):
        """Control characters, bytes that are no UTF-8, times that are no numbers."""
        self.peer("status=odd", "suspend=odd", "resume=odd")
        host = self.started()
        self.assertEqual(host.done("status")["processes"][0]["command"], "?[2Jcmd?")
        host.done("suspend")
        host.done("resume")

    def test_refused_for_good(self):
        """Trying again helps as long as it may help one of them."""
        for second, final in (("never", True), ("refuse", None)):
            peers = [self.peer("resume=never"), self.peer(f"resume={second}"), self.peer()]
            host = self.host() if self.agent else self.started()
            host.done("suspend")
            error = host.fails("Failed", "resume")
            self.assertEqual(error.get("final"), final)
            errors = {each["pid"]: each["error"] for each in error["data"]["processes"]}
            self.assertIs(errors[peers[0].pid]["final"], True)
            self.assertEqual(errors[peers[1].pid].get("final"), final)
            self.assertIsNone(errors[peers[2].pid])
            self.logs()

    def test_prepared(self):
        """Each is asked as the host wants it."""
        self.peer()
        host = self.started()
        host.done("suspend", prepare=True, deadline=5)
        host.done("resume")
        host.done("suspend", prepare=False)
        self.assertEqual(self.logs(), [["suspend 5, prepare 0 0 0", "resume  0", "suspend 10"]])

    def test_much_to_say(self):
        """An answer that does not fit in a line is cut: a host must not be left without one."""
        for _ in range(8):
            self.peer("suspend=many", "resume=many")
        host = self.started()
        for name in ("suspend", "resume"):
            answer = host.ask(name, id=name)
            self.assertIs(answer["cut"], True)
            self.assertLess(len(json.dumps(answer)), 1 << 20)
            processes = answer["return"]["processes"]
            self.assertEqual(len(processes), 8)
            for process in processes:
                warnings = process["warnings"]
                self.assertEqual(warnings[-1], f"and {40000 - len(warnings) + 1} more")
            self.assertEqual(host.ask(name, id=name), answer)
        self.expect_running(host)

    def test_suspended_before(self):
        """By hand: it is left alone, also when the suspend leads back, and resumed with the others."""
        self.peer("state=3")
        self.peer()
        host = self.started()
        host.done("suspend")
        host.done("resume")
        self.assertEqual(self.logs(), [["resume  0"], ["suspend 10", "resume  0"]])
        self.peer("state=3")
        self.peer("suspend=refuse")
        self.assertIn("did not end", host.fails("Failed", "suspend")["reason"])
        self.assertEqual(self.logs(), [[], ["suspend 10"]])

    def test_at_once(self):
        """16 that take 2.5 s each take little more."""
        for _ in range(16):
            self.peer("suspend=slow")
        host = self.started()
        start = time.monotonic()
        done = host.done("suspend")
        self.assertLess(time.monotonic() - start, 6)
        self.assertEqual([each["state"] for each in done["processes"]], ["suspended"] * 16)
        host.done("resume")
        self.expect_running(host)

    def test_socket_of_a_dead_one(self):
        """A name in the directory is not a process."""
        peer = self.peer()
        peer.process.kill()
        peer.process.wait()
        self.peer()
        host = self.started()
        self.assertEqual(len(host.done("suspend")["processes"]), 1)
        host.done("resume")

    @needs_root
    def test_two_users(self):
        self.peer(user=NOBODY)
        self.peer(user=1)
        host = self.started()
        self.assertEqual(sorted(each["uid"] for each in host.done("status")["processes"]),
                         [1, NOBODY])
        host.done("suspend")
        host.done("resume")
        self.expect_running(host)
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"]] * 2)

    @needs_root
    def test_container(self):
        """Another pid namespace; the runtime directory is bind-mounted there under another name."""
        output = contained(self, "--repeat", "1000000", "--size", "1024").output
        host = self.started()
        status = host.done("status")["processes"]
        self.assertEqual([each["state"] for each in status], ["running"])
        # By our number of it, not by its own, which is 1.
        self.assertEqual(os.readlink(f"/proc/{status[0]['pid']}/exe"), f"{BIN}/sample-vadd")
        host.done("suspend")
        before = self.read(output)
        time.sleep(0.5)
        self.assertEqual(self.read(output), before, "it goes on while suspended")
        host.done("resume")
        wait_until(lambda: self.read(output) != before, "it goes on")


class Real(Case):
    """Programs that compute: their results are those of an undisturbed run."""

    def together(self, *starts):
        """All are at work at the same moment, however long each takes to come to that."""
        for start in starts:
            start().send_signal(signal.SIGSTOP)
        for program in self.programs:
            program.send_signal(signal.SIGCONT)

    def test_results(self):
        results = [os.path.join(self.top, f"result{i}") for i in range(4)]
        self.together(*(lambda result=result: self.program(
            "--repeat", "100000", "--size", "16384", "--output", result) for result in results))
        host = self.started()
        for _ in range(3):
            done = host.done("suspend")
            self.assertEqual([each["state"] for each in done["processes"]], ["suspended"] * 4)
            self.assertEqual(done["bytes"], 4 * 3 * 16384 * 4)
            host.done("resume")
        for program in self.programs:
            self.assertEqual(program.wait(200), 0, self.read(program.output)[-300:])
        contents = [self.read(result) for result in results]
        self.assertEqual(len(contents[0]), 16384 * 4)
        self.assertTrue(all(content == contents[0] for content in contents), "results differ")

    def test_refused_for_good(self):
        """What no waiting changes is told from a device that may come yet."""
        self.program()
        host = self.started()
        host.done("suspend")
        for device, reason, final in (("0,0", "names 2 devices", True),
                                      ("not here", "no such device", None)):
            error = host.fails("Failed", "resume", device=device)
            self.assertIn(reason, error["reason"])
            self.assertEqual(error.get("final"), final, error)
        host.done("resume")
        self.expect_running(host)

    @needs_root
    def test_two_users_and_a_container(self):
        """Root's agent suspends programs of two users and one in another pid namespace as one."""
        vadd = os.path.join(BIN, "sample-vadd")
        if subprocess.run(["setpriv", f"--reuid={NOBODY}", "--clear-groups", "test", "-r",
                           vadd]).returncode:
            self.skipTest(f"user {NOBODY} may not read `{vadd}`")
        results = os.path.join(self.top, "results")
        os.mkdir(results)
        os.chmod(results, 0o1777)
        path = lambda who: os.path.join(results, who)
        work = lambda who: ("--repeat", "100000", "--size", "16384", "--output", path(who))
        subprocess.run([os.path.join(BIN, "sample-vadd"), *work("undisturbed")], check=True,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=200)
        self.together(*(lambda user=user: self.program(
            *work(str(user)), user=user, env={"POCL_CACHE_DIR": path(f"cache of {user}")})
            for user in (1, NOBODY)), lambda: contained(self, *work("contained")))
        host = self.started()
        processes = host.done("status")["processes"]
        self.assertEqual(sorted(each["uid"] for each in processes), [0, 1, NOBODY])
        for _ in range(3):
            done = host.done("suspend")
            self.assertEqual([each["state"] for each in done["processes"]], ["suspended"] * 3)
            before = [self.read(program.output) for program in self.programs]
            time.sleep(0.5)
            self.assertEqual([self.read(program.output) for program in self.programs], before,
                             "somebody goes on while suspended")
            host.done("resume")
            self.expect_running(host)
        for program in self.programs:
            self.assertEqual(program.wait(200), 0, self.read(program.output)[-300:])
        wanted = self.read(path("undisturbed"))
        self.assertEqual(len(wanted), 16384 * 4)
        for who in ("1", str(NOBODY), "contained"):
            self.assertEqual(self.read(path(who)), wanted, f"{who}: other bytes")

    def test_asked_too_early(self):
        """A process that comes to a request when nobody waits for the answer any more leaves it."""
        program = self.program()
        host = self.started()
        pid, = self.states(host)
        os.kill(pid, signal.SIGSTOP)
        asked = self.shadowcl("suspend", pid, "--timeout", "1")
        self.assertEqual(asked.returncode, 1)
        self.assertIn("state: not answering", asked.stderr)
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: b"has gone away" in self.read(program.log), "it has come to the request")
        self.expect_running(host)
        host.done("suspend")
        host.done("resume")
        self.expect_running(host)

    def test_prepared(self):
        """Contents are copied while the programs run; afterwards only what was written since."""
        self.program(env={"SHADOWCL_MAPPING": "copy"})
        host = self.started()
        for prepare in (True, False):
            done = host.done("suspend", prepare=prepare)
            process, = done["processes"]
            self.assertGreater(process["captured_bytes"], 0)
            self.assertEqual(process["prepare_rounds"] > 0, prepare, process)
            self.assertEqual(process["prepared_bytes"] > 0, prepare, process)
            # From its stop to the answer: not while contents were copied beforehand.
            ms, own = done["ms"], process["ms"]
            self.assertGreaterEqual(ms["still"], own["drain"] + own["capture"] + own["release"])
            self.assertLessEqual(ms["still"], ms["total"] - own["prepare"])
            host.done("resume")
        self.expect_running(host)


if __name__ == "__main__":
    run_tests()
