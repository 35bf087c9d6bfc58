# SPDX-License-Identifier: Apache-2.0
"""Every command of a straight move goes wrong in turn, in each way: after each the programs run
again, on a device that is there, and the command says truly where. Prints a table."""
import concurrent.futures

from harness import Case, run, run_tests

# fail: an error; hang: not done, no answer; lost: done, no answer; drop: the connection ends;
# die: the machine ends.
WAYS = ["fail", "hang", "lost", "lost once", "late", "drop", "garbage", "interrupt", "die"]
MEANWHILE = ["--meanwhile", "pocl:0"]
AT_ONCE = 24  # they wait, mostly


def says_truth(ran):
    """What it could not find out before anything was touched, it need not know; nor whether a
    device_del without an answer will still be obeyed."""
    return all(word == ran.truth[name] or (word == "unknown" and not ran.is_touched) or
               (word == "leaving" and ran.truth[name] == "plugged")
               for name, word in ran.answer["state"].items())


def judge(ran):
    """What is wrong with how the run ended; None when nothing is."""
    world, truth = ran.world, ran.truth
    if world.wrong:
        return "; ".join(world.wrong)
    if ran.code not in (0, 1) or not ran.answer:
        return f"exit code {ran.code}"
    if ran.is_lost:
        right = ran.code == 1 and ran.answer["state"]["guest"] == "unknown"
        return None if right else f"a guest that is gone is said to be {ran.answer['state']}"
    if not says_truth(ran):
        return f"it says {ran.answer['state']}, and {truth} is true"
    if ran.status != "running":
        return f"the guest is {ran.status}"
    if truth["programs"] not in ("running", "meanwhile"):
        return f"the programs are {truth['programs']}"
    if truth["programs"] == "running" and truth["device"] != "plugged":
        return "programs without a device"
    if ran.code == 0 and (truth["guest"] != "destination" or truth["programs"] != "running"):
        return "exit code 0"
    return None


# Answers that are JSON and nothing else; in a tuple, to be told from a fault by name.
NONSENSE = [(value,) for value in (
    None, 7, "running", [], [None, 5, {"name": 5, "type": [], "bus": "x", "devices": [[]]}],
    {"status": 5, "state": [], "protocol": 1, "processes": {"a": 1}, "refusals": [7, {}]},
    {"status": "\x1b[31m", "state": "x" * 5000, "processes": [{"pid": "a", "devices": [1]}] * 500,
     "protocol": {"major": 1}})]


class Nonsense(Case):
    def test_answers(self):
        """What makes no sense may end the move, and never the command."""
        straight = run("--json")
        jobs = [(index, value) for index in range(len(straight.world.commands))
                for value in NONSENSE]

        def one(job):
            ran = run("--json", fault=job)
            return (ran.code, ran.answer is not None, ran.world.wrong)

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for (index, value), (code, is_json, wrong) in zip(jobs, pool.map(one, jobs)):
                self.assertIn(code, (0, 1), (straight.world.commands[index], value))
                self.assertTrue(is_json, (straight.world.commands[index], value))
                self.assertEqual(wrong, [])


class Silence(Case):
    def judge(self, ran):
        """What is not known is said, and what does not run, with what to do."""
        if ran.world.wrong:
            return "; ".join(ran.world.wrong)
        if not all(word in ("unknown", ran.truth[name]) or
                   (word == "leaving" and ran.truth[name] == "plugged")
                   for name, word in ran.answer["state"].items()):
            return f"it says {ran.answer['state']}, and {ran.truth} is true"
        runs = ran.truth["programs"] == "running" and ran.status == "running"
        if not runs and "shadowcl vm-resume" not in ran.stderr:
            return f"{ran.truth}, and nothing to do is said"
        if ran.is_touched and not runs and ran.truth["device"] == "plugged" and \
                "`gpu0` is asked to leave" not in ran.stderr:
            return f"{ran.truth}: they could run"
        return None

    def test_monitor(self):
        """From each command on a monitor is lost, or mute, and the guest runs on: then its programs
        run with the device that is there, unless that has been asked to leave."""
        commands = run("--json").world.commands
        jobs = [(index, way) for index, (channel, _) in enumerate(commands) if channel != "agent"
                for way in ("monitor lost", "deaf")]

        def one(job):
            ran = run("--json", fault=job)
            return self.judge(ran), ran.stderr

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            wrong = [f"{commands[index]} {way}: {what}\n{said}"
                     for (index, way), (what, said) in zip(jobs, pool.map(one, jobs)) if what]
        self.assertEqual(wrong, [], f"{len(wrong)} of {len(jobs)}:\n" + "\n".join(wrong))


def judge_half(verb, ran):
    """The same for vm-suspend and vm-resume: all the way, or back; what is suspended may stay so."""
    truth = ran.truth
    if ran.world.wrong or ran.world.events:
        return "; ".join(ran.world.wrong + ran.world.events)
    if ran.code not in (0, 1) or not ran.answer:
        return f"exit code {ran.code}"
    ran.answer["state"].pop("guest")
    if ran.is_lost:
        return None if ran.code == 1 else "exit code 0 without a guest"
    if not says_truth(ran):
        return f"it says {ran.answer['state']}, and {truth} is true"
    end = ("nowhere", "suspended") if verb == "vm-suspend" else ("plugged", "running")
    is_there = (truth["device"], truth["programs"]) == end
    if ran.code == 0:
        return None if is_there else f"exit code 0 with {truth}"
    if verb == "vm-suspend" and (truth["device"], truth["programs"]) != ("plugged", "running"):
        return f"not brought back: {truth}"
    if truth["programs"] == "running" and truth["device"] != "plugged":
        return "programs without a device"
    return None


class Halves(Case):
    """vm-suspend, and vm-resume after one."""

    def walk(self, verb, *options, **settings):
        straight = run("--json", *options, verb=verb, **settings)
        self.assertIsNone(judge_half(verb, straight), straight.stderr)
        self.assertEqual(straight.code, 0, straight.stderr)
        commands = straight.world.commands
        jobs = [(index, way) for index in range(len(commands)) for way in WAYS]

        def one(job):
            ran = run("--json", *options, verb=verb, fault=job, **settings)
            return judge_half(verb, ran), ran.stderr

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            wrong = [f"{commands[index]} {way}: {what}\n{said}"
                     for (index, way), (what, said) in zip(jobs, pool.map(one, jobs)) if what]
        self.assertEqual(wrong, [], f"{len(wrong)} of {len(jobs)}:\n" + "\n".join(wrong))

    def test_suspend(self):
        self.walk("vm-suspend")

    def test_resume(self):
        self.walk("vm-resume", "--device-options",
                  "driver=ivshmem-plain,memdev=mem-gpu,bus=pci.0,addr=05.0",
                  source_device=None, state="suspended")


class Walk(Case):
    def walk(self, *options):
        straight = run("--json", *options)
        self.check(straight, 0, guest="destination", device="plugged", programs="running")
        commands = straight.world.commands
        jobs = [(index, way) for index in range(len(commands)) for way in WAYS]

        def one(job):
            index, way = job
            try:
                ran = run("--json", *options, fault=(index, way))
            except Exception as exception:  # said in the table
                return "stuck", str(exception), ""
            wrong = judge(ran)
            end = "moved" if ran.code == 0 else (
                "lost" if ran.is_lost else
                f"{ran.truth['guest']}, {ran.truth['programs']}")
            return end, wrong, ran.stderr

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            results = dict(zip(jobs, pool.map(one, jobs)))
        self.print_table(commands, results)
        wrong = [f"{commands[index]} {way}: {result[1]}\n{result[2]}"
                 for (index, way), result in results.items() if result[1]]
        self.assertEqual(wrong, [], f"{len(wrong)} of {len(jobs)}:\n" + "\n".join(wrong))

    def print_table(self, commands, results):
        rows = {}
        for (index, way), (end, wrong, _) in results.items():
            channel, command = commands[index]
            rows.setdefault((channel, command, way), []).append(f"WRONG ({end})" if wrong else end)
        print(f"\n{'to':12} {'command':26} " + "".join(f"{way:42}" for way in WAYS))
        for channel, command in dict.fromkeys(commands):
            ends = [" / ".join(dict.fromkeys(rows[channel, command, way])) for way in WAYS]
            print(f"{channel:12} {command:26} " + "".join(f"{end:42}" for end in ends))

    def test_straight(self):
        self.walk()

    def test_meanwhile(self):
        self.walk(*MEANWHILE)


run_tests()
