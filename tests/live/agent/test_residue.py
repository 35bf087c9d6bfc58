# SPDX-License-Identifier: Apache-2.0
"""Who else holds the device: other processes are found by what they have open or mapped, by pid and
command. The devices are a made-up sysfs, with /dev and /proc beside it."""
import os
import subprocess
import sys
import time

from harness import Case, run_tests

HOLD = """
import mmap, sys, time
file = open(sys.argv[1], "r+b", 0)
if sys.argv[2] == "map":
    memory = mmap.mmap(file.fileno(), 4096)
    file.close()
print("held", flush=True)
time.sleep(600)
"""


# As the library does it: shim/wake.h.
AWAY = """
import ctypes, os, threading, time
def wait():
    ctypes.CDLL(None).prctl(15, f"shadowcl-{pipe[1]}".encode(), 0, 0, 0)
    print("away", flush=True)
    time.sleep(600)
pipe = os.pipe()
threading.Thread(target=wait, daemon=True).start()
time.sleep(600)
"""


class Residue(Case):
    def setUp(self):
        super().setUp()
        self.sysfs = os.path.join(self.top, "sys")
        os.makedirs(os.path.join(self.sysfs, "bus/pci/devices"))
        self.gpu = self.plug("0000:00:05.0", "0300", "10de", "1eb8", driver="nvidia-not")
        self.other = self.plug("0000:00:06.0", "1200", "1af4", "1110")
        self.disk = self.plug("0000:00:07.0", "0100", "8086", "0001")

    def plug(self, address, class_, vendor, device, driver=None):
        """As sysfs has it: the folder of the bus holds links."""
        folder = os.path.join(self.sysfs, "devices/pci0000:00", address)
        os.makedirs(folder)
        for name, value in (("class", f"0x{class_}00"), ("vendor", f"0x{vendor}"),
                            ("device", f"0x{device}")):
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                file.write(value + "\n")
        with open(os.path.join(folder, "resource2"), "wb") as file:
            file.truncate(1 << 20)
        if driver:
            os.makedirs(os.path.join(self.sysfs, "bus/pci/drivers", driver), exist_ok=True)
            os.symlink(f"../../../bus/pci/drivers/{driver}", os.path.join(folder, "driver"))
        os.symlink(f"../../../devices/pci0000:00/{address}",
                   os.path.join(self.sysfs, "bus/pci/devices", address))
        return folder

    def unplug(self, address):
        os.unlink(os.path.join(self.sysfs, "bus/pci/devices", address))

    def start(self, *arguments, env=None, wait=True):
        super().start(*arguments, env={"SHADOWCL_SYSFS": self.sysfs, **(env or {})}, wait=wait)

    def hold(self, path, how="open"):
        holder = subprocess.Popen([sys.executable, "-c", HOLD, path, how], stdout=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL, text=True)
        self.programs.append(holder)
        self.assertEqual(holder.stdout.readline(), "held\n")
        holder.stdout.close()
        return holder

    def test_devices(self):
        host = self.started()
        devices = host.done("status")["devices"]
        self.assertEqual([each["address"] for each in devices], ["0000:00:05.0", "0000:00:06.0"])
        self.assertEqual([devices[0][name] for name in ("vendor", "device", "class", "driver")],
                         ["10de", "1eb8", "030000", "nvidia-not"])
        self.assertIsNone(devices[1]["driver"])
        # Also one that is no GPU, when somebody has it open.
        holder = self.hold(os.path.join(self.disk, "resource2"))
        devices = host.done("status")["devices"]
        self.assertEqual(devices[2]["address"], "0000:00:07.0")
        self.assertEqual([each["pid"] for each in devices[2]["users"]], [holder.pid])

    def found(self, how, word):
        peer = self.peer()
        holder = self.hold(os.path.join(self.gpu, "resource2"), how)
        host = self.started()
        refusals = host.done("prepare")["refusals"]
        self.assertEqual(len(refusals), 1, refusals)
        self.assertIn(f"process {holder.pid} python", refusals[0]["object"])
        error = host.fails("Refused", "suspend")
        self.assertIn(f"process {holder.pid} python", error["object"])
        self.assertIn("it holds the device: ", error["reason"])
        users = error["data"]["residue"]
        self.assertEqual({(user["pid"], user["shim"]) for user in users}, {(holder.pid, False)})
        self.assertTrue(all("0000:00:05.0/resource2" in user["what"] for user in users), users)
        self.assertTrue(any(user["what"].startswith(word) for user in users), users)
        self.assertEqual(host.event("residue")["users"], error["data"]["residue"])
        self.expect_running(host)
        # Nothing is to be free.
        self.assertEqual(host.done("prepare", devices=[])["refusals"], [])
        self.assertEqual(host.done("suspend", devices=[])["residue"], [])
        host.done("resume")
        # It is none of that device's.
        host.done("suspend", devices=["0000:00:06.0"])
        host.done("resume")
        host.fails("Refused", "suspend", devices=["0000:00:06.0", "0000:00:05.0"])
        done = host.done("suspend", policy="force")
        self.assertEqual({each["pid"] for each in done["residue"]}, {holder.pid})
        host.done("resume")
        holder.kill()
        holder.wait()
        self.assertEqual(host.done("suspend")["residue"], [])
        self.assertEqual(peer.stop(), ["suspend 10", "resume  0"] * 3 + ["suspend 10"])
        self.peers = []

    def test_copied_by_criu(self):
        """It has left its socket, and will take a device again."""
        self.peer()
        away = subprocess.Popen([sys.executable, "-c", AWAY], stdout=subprocess.PIPE, text=True,
                                stdin=subprocess.DEVNULL, env=self.environment())
        self.programs.append(away)
        self.assertEqual(away.stdout.readline(), "away\n")
        away.stdout.close()
        host = self.started()
        for refusal in (host.done("prepare")["refusals"][0], host.fails("Refused", "suspend")):
            self.assertIn(f"process {away.pid} python", refusal["object"])
            self.assertIn("being copied by CRIU", refusal["reason"])
        self.expect_running(host)
        away.kill()
        away.wait()
        host.done("suspend")
        host.done("resume")

    def test_open(self):
        self.found("open", "fd ")

    def test_mapped(self):
        self.found("map", "mapping of ")

    def test_addresses_of_processes(self):
        """A process is where the only device is that it holds."""
        node = os.path.join(self.gpu, "resource2")
        self.peer()
        with open(node, "rb") as file:
            os.set_inheritable(file.fileno(), True)
            holder = self.peer(fds=[file.fileno()])
        host = self.started()
        at = {each["pid"]: each["devices"][0]["pci"] for each in host.done("status")["processes"]}
        self.assertEqual(sorted(at.values(), key=str), sorted([None, "0000:00:05.0"], key=str))
        self.assertEqual(at[holder.pid], "0000:00:05.0")

    def test_other_name(self):
        """A node is known by its number, whatever it is called."""
        node = os.path.join(self.gpu, "drm/card7")
        os.makedirs(node)
        number = os.stat("/dev/full").st_rdev
        with open(os.path.join(node, "dev"), "w", encoding="ascii") as file:
            file.write(f"{os.major(number)}:{os.minor(number)}\n")
        holder = self.hold("/dev/full")
        host = self.started()
        error = host.fails("Refused", "suspend", devices=["0000:00:05.0"])
        self.assertIn(f"process {holder.pid}", error["object"])
        self.assertIn("-> /dev/full", error["reason"])
        host.done("suspend", devices=["0000:00:06.0"])
        host.done("resume")

    def test_unlinked(self):
        """A device that was pulled out is held all the same."""
        holder = self.hold(os.path.join(self.gpu, "resource2"))
        os.unlink(os.path.join(self.gpu, "resource2"))
        host = self.started()
        self.assertIn(f"process {holder.pid}", host.fails("Refused", "suspend")["object"])

    def test_named_by_pattern(self):
        """What the administrator names counts, also with `devices`."""
        node = os.path.join(self.top, "node0")
        with open(node, "wb") as file:
            file.truncate(4096)
        holder = self.hold(node)
        host = self.started(env={"SHADOWCL_DEVICE_NODES": f"/nothing:{self.top}/node*"})
        for devices in ({}, {"devices": ["0000:00:06.0"]}):
            error = host.fails("Refused", "suspend", **devices)
            self.assertIn(f"process {holder.pid}", error["object"])

    def test_mapped_by_one_under_shadowcl(self):
        """Its library may know nothing of the agent's patterns: that it has let go proves nothing
        of them."""
        node, library = (os.path.join(self.top, name) for name in ("node0",
                                                                   "shadowcl/libOpenCL.so.1"))
        os.mkdir(os.path.dirname(library))
        for path in (node, library):
            with open(path, "wb") as file:
                file.truncate(4096)
        peer = self.peer(f"map={node}", f"map={library}")
        host = self.started(env={"SHADOWCL_DEVICE_NODES": node})
        for devices in ({}, {"devices": ["0000:00:06.0"]}):
            error = host.fails("Failed", "suspend", **devices)
            self.assertIn(f"process {peer.pid} fake_peer", error["object"])
            self.assertIn(f"mapping of {node}", error["reason"])
            self.assertEqual([user["shim"] for user in error["data"]["residue"]], [True])
            self.expect_running(host)
        done = host.done("suspend", policy="force")
        self.assertEqual([user["what"] for user in done["residue"]], [f"mapping of {node}"])

    def dev(self, *names):
        """Nodes beside the made-up sysfs."""
        paths = [os.path.join(self.top, "dev", name) for name in names]
        os.makedirs(os.path.dirname(paths[0]), exist_ok=True)
        for path in paths:
            with open(path, "wb"):
                pass
        return paths

    def tell_minor(self, address, line):
        """What NVIDIA's driver says of a device."""
        folder = os.path.join(self.top, "proc/driver/nvidia/gpus", address)
        os.makedirs(folder)
        with open(os.path.join(folder, "information"), "w", encoding="ascii") as file:
            file.write(f"Model: \t\t NVIDIA H200\nBus Type: \t PCIe\n{line}\nGPU Excluded:\t No\n")

    def holds(self, host, holder, *devices):
        """It stands against a suspend for these, and for no other."""
        addresses = [each["address"] for each in host.done("status")["devices"]]
        for address in addresses:
            refusals = host.done("prepare", devices=[address])["refusals"]
            self.assertEqual([f"process {holder.pid} " in each["object"] for each in refusals],
                             [True] * (address in devices), refusals)
        holder.kill()
        holder.wait()

    def test_nvidia(self):
        """Each device has the node of the number that its driver tells."""
        first, second = "0000:00:08.0", "0000:00:09.0"
        self.plug(first, "0302", "10de", "2335", driver="nvidia")
        self.plug(second, "0302", "10de", "2335", driver="nvidia")
        zero, one, *shared = self.dev("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm")
        host = self.started()
        # While nobody tells, either may have each of them.
        self.holds(host, self.hold(one), first, second)
        self.holds(host, self.hold(shared[0]), first, second)
        self.tell_minor(first, "Device Minor: \t 1")
        self.tell_minor(second, "Device Minor: \t 0")
        self.holds(host, self.hold(zero), second)
        self.holds(host, self.hold(one), first)
        for node in shared:
            self.holds(host, self.hold(node))
        holder = self.hold(one)
        host.done("suspend", devices=[second])
        host.done("resume")
        error = host.fails("Refused", "suspend", devices=[first, second])
        self.assertIn(f"process {holder.pid} ", error["object"])
        # It may be made only when somebody uses the device.
        os.unlink(one)
        nodes = {each["address"]: each["nodes"] for each in host.done("status")["devices"]}
        self.assertEqual((nodes[first], nodes[second]), ([one], [zero]))

    def test_nvidia_alone(self):
        """What its driver has for all devices is the only one's."""
        device = "0000:00:08.0"
        self.plug(device, "0302", "10de", "2335", driver="nvidia")
        self.tell_minor(device, "Device Minor: \t 0")
        nodes = self.dev("nvidia0", "nvidiactl", "nvidia-uvm")
        host = self.started()
        for node in nodes:
            self.holds(host, self.hold(node), device)

    def test_nvidia_without_number(self):
        """One whose number is not told may have any of them."""
        first, second = "0000:00:08.0", "0000:00:09.0"
        self.plug(first, "0302", "10de", "2335", driver="nvidia")
        self.plug(second, "0302", "10de", "2335", driver="nvidia")
        self.tell_minor(first, "Device Minor: \t 0")
        self.tell_minor(second, "Device Minor: \t N/A")
        zero, one, control = self.dev("nvidia0", "nvidia1", "nvidiactl")
        host = self.started()
        self.holds(host, self.hold(zero), first, second)
        self.holds(host, self.hold(one), second)
        self.holds(host, self.hold(control), second)

    def test_amdgpu(self):
        """/dev/kfd is all devices' of its driver."""
        first, second = "0000:00:08.0", "0000:00:09.0"
        kfd, = self.dev("kfd")
        self.plug(first, "0380", "1002", "740f", driver="amdgpu")
        host = self.started()
        self.holds(host, self.hold(kfd), first)
        self.plug(second, "0380", "1002", "740f", driver="amdgpu")
        self.holds(host, self.hold(kfd))

    def test_no_such_device(self):
        """Nobody can be found who holds it: that must not look like nobody does."""
        peer = self.peer()
        host = self.started()
        devices = ["0000:00:05.0", "0000:00:1f.7"]
        refusal, = host.done("prepare", devices=devices)["refusals"]
        self.assertEqual(refusal["object"], "device 0000:00:1f.7")
        error = host.fails("Refused", "suspend", devices=devices)
        self.assertIn("device 0000:00:1f.7: there is no such device here", error["desc"])
        self.expect_running(host)
        host.done("suspend", devices=devices, policy="force")
        host.done("resume")
        host.done("suspend", devices=devices[:1])
        self.unplug("0000:00:05.0")
        self.assertTrue(host.done("suspend", devices=devices[:1])["already"])
        host.done("resume")
        self.assertEqual(peer.stop(), ["suspend 10", "resume  0"] * 2)
        self.peers = []

    def test_comes_meanwhile(self):
        """Somebody opens the device while the others let go of it."""
        self.peer("suspend=slow")
        host = self.started()
        host.send("suspend", id="one")
        host.event("progress")
        holder = self.hold(os.path.join(self.gpu, "resource2"))
        error = host.answer("one")["error"]
        self.assertEqual(error["class"], "Failed")
        self.assertIn(f"process {holder.pid}", error["object"])
        self.expect_running(host)
        self.assertEqual(self.logs(), [["suspend 10", "resume  0"]])

    def test_device_wait(self):
        host = self.started()
        device = host.done("device-wait", address="0000:00:06.0")["device"]
        self.assertEqual(device["device"], "1110")
        self.assertEqual(host.done("device-wait", vendor="10DE")["device"]["address"],
                         "0000:00:05.0")
        self.assertEqual(host.done("device-wait")["device"]["address"], "0000:00:05.0")
        self.assertIsNone(host.done("device-wait", vendor="ffff", present=False)["device"])
        start = time.monotonic()
        host.fails("Timeout", "device-wait", vendor="10de", device="ffff", timeout=0.3)
        host.fails("Timeout", "device-wait", vendor="10de", present=False, timeout=0.3)
        host.fails("Timeout", "device-wait", vendor="ffff", timeout=0)
        self.assertLess(time.monotonic() - start, 3)

    def test_device_comes_and_goes(self):
        host = self.started()
        host.send("device-wait", id="gone", address="0000:00:06.0", present=False)
        host.send("device-wait", id="come", address="0000:00:09.0")
        time.sleep(0.3)
        self.plug("0000:00:09.0", "0300", "10de", "1eb8")
        self.assertEqual(host.answer("come", "device-wait")["return"]["device"]["address"],
                         "0000:00:09.0")
        self.unplug("0000:00:06.0")
        self.assertIsNone(host.answer("gone", "device-wait")["return"]["device"])

    def test_no_bus(self):
        self.sysfs = os.path.join(self.top, "nothing")
        self.assertEqual(self.started().done("status")["devices"], [])


if __name__ == "__main__":
    run_tests()
