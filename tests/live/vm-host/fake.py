# SPDX-License-Identifier: Apache-2.0
"""Two QEMUs and the agent in their guest, as far as vm-migrate sees them: a model of who has the
guest, where the device is plugged in and whether programs run, behind QMP monitors and the ports
of the agent. What would destroy a guest or its programs' data is noted in World.wrong. Any command
can be made to fail, to hang, to be answered late or never, to end the machine, or to interrupt who
asked."""
import json
import os
import signal
import socket
import threading
import time

GPU = "gpu0"
PCI = {"driver": "ivshmem-plain", "id": GPU, "memdev": "mem-gpu", "bus": "pci.0", "addr": "05.0"}
KINDS = {"ivshmem-plain": [{"name": "addr", "type": "int32", "default-value": -1},
                           {"name": "romfile", "type": "str"},
                           {"name": "multifunction", "type": "bool", "default-value": False},
                           {"name": "memdev", "type": "link<memory-backend>"}],
         "vfio-pci": [{"name": "addr", "type": "int32", "default-value": -1},
                      {"name": "host", "type": "str"}, {"name": "sysfsdev", "type": "str"}]}
LIMITS = {"max_bandwidth": 128 << 20, "downtime_limit": 300, "multifd_channels": 2}


class Refusal(Exception):
    def __init__(self, desc, kind="GenericError", **more):
        self.error = {"class": kind, "desc": desc, **more}


class Port:
    """One listening socket that serves one client at a time, as QEMU's do."""

    def __init__(self, path, serve):
        self.path, self.serve, self.client = path, serve, None
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(5)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.client = client
            try:
                self.serve(self)
            except OSError:
                pass
            client.close()

    def lines(self):
        rest = b""
        while True:
            more = self.client.recv(65536)
            if not more:
                return
            *whole, rest = (rest + more).split(b"\n")
            for line in whole:
                if line.strip():
                    yield json.loads(line)

    def send(self, message):
        text = message if isinstance(message, bytes) else json.dumps(message).encode()
        try:
            self.client.sendall(text + b"\r\n")
        except (OSError, AttributeError):
            pass

    def drop(self):
        try:
            self.client.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass

    def close(self):
        if self.listener.fileno() < 0:
            return
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            os.unlink(self.path)
        except OSError:  # another thread has been here
            pass
        self.drop()


class Machine:
    """A QEMU: its monitor, and the host's end of the agent's port."""

    def __init__(self, world, name, status):
        self.world, self.name, self.status = world, name, status
        self.device = None
        self.autostart = True
        self.has_memory = False  # all of a guest that came in
        self.has_disks = False   # activated: nobody else may write to them
        self.migration = {}
        self.capabilities = {}
        self.limits = dict(LIMITS)
        self.listening = False
        self.objects = {"mem-gpu"}
        self.dead = self.deaf = False
        self.monitor = Port(f"{world.folder}/{name}.qmp", self.serve_monitor)
        self.port = Port(f"{world.folder}/{name}.agent", self.serve_agent)

    def event(self, name, **data):
        self.monitor.send({"event": name, "data": data,
                           "timestamp": {"seconds": 1, "microseconds": 2}})

    def die(self):
        other = self.world.other(self)
        if self.world.holder is self and not self.world.is_over and not other.has_memory:
            self.world.holder_died = True
        self.dead, self.status = True, "dead"
        self.monitor.close()
        self.port.close()
        self.later(self.world.disks_time, self.let_disks_go)

    def let_disks_go(self):
        self.has_disks = False

    def run(self):
        other = self.world.other(self)
        if other.status == "running" and (self.has_memory or self.name == "source"):
            self.world.wrong.append("both machines ran the guest")
        self.status = "running"
        self.world.holder = self
        self.event("RESUME")
        if self.world.greets:
            self.port.send(self.world.agent.greeting())

    def serve_monitor(self, port):
        port.send({"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}}})
        for message in port.lines():
            # A monitor serves one command after the other: one that hangs leaves the next alone.
            self.world.answer(port, self.name, message, self.execute)
            if self.dead:
                return

    def lose_monitor(self):
        """The guest runs on."""
        self.monitor.close()

    def execute(self, command, arguments):
        method = getattr(self, "do_" + command.replace("-", "_"), None)
        if not method:
            raise Refusal(f"The command {command} has not been found", "CommandNotFound")
        if command == "device_add":
            time.sleep(self.world.plug_time)
        with self.world.lock:
            return method(**{key.replace("-", "_"): value for key, value in arguments.items()})

    def do_qmp_capabilities(self):
        return {}

    def do_query_status(self):
        return {"status": self.status, "running": self.status == "running"}

    def slot(self):
        return int(self.device.get("addr", "1f").split(".")[0], 16)

    def do_query_pci(self):
        if not self.device:
            return [{"bus": 0, "devices": [{"bus": 0, "slot": 1, "function": 0, "id": {},
                                            "qdev_id": ""}]}]
        return [{"bus": 0, "devices": [
            {"bus": 0, "slot": 1, "function": 0, "qdev_id": "", "id": {}, "pci_bridge": {
                "devices": [{"bus": 0, "slot": self.slot(),
                             "function": 0, "qdev_id": GPU,
                             "id": {"vendor": 0x1af4, "device": 0x1110}}]}}]}]

    def do_qom_list(self, path):
        if path == "/machine/peripheral":
            there = [{"name": GPU, "type": "child<x>"}] if self.device else []
            return [{"name": "type", "type": "string"}, *there]
        if path == "/objects":
            return [{"name": name, "type": "child<memory-backend-ram>"} for name in self.objects]
        raise Refusal(f"Device '{path}' not found", "DeviceNotFound")

    def do_qom_get(self, path, property):
        if path != "/machine/peripheral/" + GPU or not self.device:
            raise Refusal(f"Device '{path}' not found", "DeviceNotFound")
        slot = self.slot() * 8
        values = {"type": self.device["driver"], "parent_bus": "/machine/i440fx/pci.0",
                  "addr": slot, "romfile": "", "multifunction": False,
                  "memdev": "/objects/" + self.device.get("memdev", ""),
                  "host": self.device.get("host", ""), "sysfsdev": "/sys/bus/pci/devices/x"}
        return values[property]

    def do_device_list_properties(self, typename):
        if typename not in KINDS:
            raise Refusal(f"Device '{typename}' not found", "DeviceNotFound")
        return KINDS[typename]

    def do_query_migrate(self):
        return self.migration

    def do_migrate_set_capabilities(self, capabilities):
        for each in capabilities:
            if each["capability"] in self.world.unknown_capabilities:
                raise Refusal(f"Parameter 'capability' does not accept '{each['capability']}'")
        self.capabilities.update((each["capability"], each["state"]) for each in capabilities)
        return {}

    def do_migrate_set_parameters(self, **parameters):
        if parameters.get("multifd_channels", 1) > 255:
            raise Refusal("Parameter 'multifd_channels' expects a value between 1 and 255")
        self.world.parameters.append((self.name, parameters))
        self.limits.update(parameters)
        return {}

    def do_query_migrate_parameters(self):
        return {name.replace("_", "-"): value for name, value in self.limits.items()}

    def do_stop(self):
        if self.status == "inmigrate":
            self.autostart = False
        else:
            self.status = "paused"
        return {}

    def do_cont(self):
        if self.status == "inmigrate":
            self.autostart = True
        elif self.status != "running":
            if self.world.other(self).has_disks:
                raise Refusal('Failed to get "write" lock')
            self.run()
        return {}

    def do_quit(self):
        threading.Timer(self.world.quit_time, self.die).start()
        return {}

    def do_migrate_incoming(self, uri):
        if self.listening:
            raise Refusal("The incoming migration has already been started")
        self.listening = True
        return {}

    def do_device_add(self, driver, id, **options):
        if driver not in KINDS:
            raise Refusal(f"'{driver}' is not a valid device model name")
        if self.device:
            raise Refusal(f"Duplicate device ID '{id}'")
        if self.world.no_device == self.name:
            raise Refusal("vfio 0000:05:00.0: failed to open: No such device")
        if self.world.no_effect == self.name:
            return {}
        if self.world.device_refusals:
            self.world.device_refusals -= 1
            raise Refusal("device_add is not allowed while migrating")
        self.device = {"driver": driver, "id": id, **options}
        self.world.appeared = time.monotonic() + 0.05
        self.world.has_plugged = True
        return {}

    def do_device_del(self, id):
        if not self.device:
            raise Refusal(f"Device '{id}' not found", "DeviceNotFound")
        how = self.world.unplug
        if self.world.ends_after is not None:
            self.later(self.world.ends_after, self.die)
        if self.world.monitor_lost_after is not None:
            self.later(self.world.monitor_lost_after, self.lose_monitor)
        if self.world.vanishes:
            self.device = None
            raise Refusal(f"Device '{id}' not found", "DeviceNotFound")
        if self.world.is_leaving:
            self.later(how, self.leave)
            raise Refusal(f"Device {id} is already in the process of unplug")
        if how == "refused":
            self.later(0.05, self.event, "DEVICE_UNPLUG_GUEST_ERROR", device=GPU)
        elif how is not None:
            self.later(how, self.leave)
        return {}

    def leave(self):
        self.device = None
        if self.world.agent.on_device():
            self.world.agent.lost_device = True
            self.world.events.append("the device left under running programs")
        self.event("DEVICE_DELETED", device=GPU, path="/machine/peripheral/" + GPU)

    def later(self, seconds, what, *rest, **more):
        def do():
            with self.world.lock:
                what(*rest, **more)
        threading.Timer(seconds, do).start()

    def do_migrate(self, uri):
        if len({bool(each.capabilities.get("multifd"))
                for each in (self, self.world.other(self))}) == 2:
            raise Refusal("multifd is not the same at both sides")
        if self.device:
            raise Refusal("0000:05:00.0: VFIO device doesn't support migration")
        self.migration = {"status": "active", "ram": {"total": 100, "remaining": 60}}
        self.later(self.world.migration_time, self.complete)
        if self.world.ends_half_way is not None:
            self.later(self.world.ends_half_way, self.die)
        if self.world.destination_dies is not None:
            self.later(self.world.destination_dies, self.world.other(self).die)
        return {}

    def complete(self):
        other = self.world.other(self)
        if self.dead or self.migration.get("status") != "active":
            return
        if other.dead or not other.listening:
            self.migration = {"status": "failed", "error-desc": "Unable to write to socket"}
            self.event("MIGRATION", status="failed")
            return
        self.event("STOP")
        self.status = "postmigrate"
        self.migration = {"status": "completed", "downtime": 31, "ram": {"total": 100,
                                                                         "remaining": 0}}
        other.has_memory = True
        if self.world.ends_with_all:
            self.die()
        if self.world.arrival_time:
            self.later(self.world.arrival_time, self.arrive, other)
        else:
            self.arrive(other)

    def arrive(self, other):
        if other.dead:
            return
        other.has_disks = not other.capabilities.get("late-block-activate")
        if other.autostart:
            other.run()
        else:
            other.status = "paused"
        if not self.dead:
            self.event("MIGRATION", status="completed")

    def do_migrate_cancel(self):
        if self.migration.get("status") == "active":
            self.migration = {"status": "cancelled"}
            self.later(0.02, self.world.other(self).die)
        return {}

    def serve_agent(self, port):
        agent = self.world.agent
        is_here = self.world.holder is self and self.status == "running"
        if (is_here and self.world.greets) or (self.world.speaks_early and not is_here):
            port.send(agent.greeting())
        for message in port.lines():
            # Only a guest that runs here hears it; else it is lost.
            if self.world.holder is self and self.status == "running" and not agent.dead:
                begun = threading.Event()
                threading.Thread(target=self.hear, args=(port, message, begun),
                                 daemon=True).start()
                begun.wait()

    def hear(self, port, message, begun):
        """As an agent does: it hears of what comes after a command once that has begun."""
        agent = self.world.agent
        agent.asked.begun = begun
        try:
            self.world.answer(port, "agent", message, agent.execute)
        finally:
            begun.set()


class Agent:
    """One process, 42, in the guest."""

    def __init__(self, world):
        self.world, self.state, self.place = world, "running", "gpu:0"
        self.dead = self.lost_device = False
        self.command = None
        self.cancelled = threading.Event()
        self.answers = {}
        # Of the command that this thread answers: .id, and .begun, an event.
        self.asked = threading.local()
        self.command_id = None          # of the one at work
        self.residue = self.refusals = None
        self.never = ()  # devices that a program can't go on with, whenever that is tried
        self.obstacles, self.lacks = [], {}  # what a program says when it is asked; of a device
        self.calls = []

    def greeting(self):
        moved = self.world.other_boot and self.world.holder is self.world.destination
        return {"shadowcl": {"version": "0.1.0", "protocol": {"major": 1, "minor": 0},
                             "boot": "boot-2" if moved else "boot-1", "state": self.state}}

    def on_device(self):
        return self.state == "running" and self.place == "gpu:0"

    def device(self):
        return self.world.holder.device and time.monotonic() >= self.world.appeared

    def is_ready(self):
        return self.device() and time.monotonic() >= self.world.appeared + self.world.ready_time

    def has_driver(self):
        wait = self.world.driver_time if self.world.has_plugged else 0
        return wait is not None and time.monotonic() >= self.world.appeared + wait

    def execute(self, command, arguments):
        self.calls.append((command, arguments))
        method = getattr(self, "do_" + command.replace("-", "_"), None)
        if not method:
            raise Refusal(f"no command `{command}`", "UnknownCommand")
        return method(**arguments)

    def do_ping(self):
        return {}

    def do_capabilities(self):
        return {"version": "0.1.0", "protocol": {"major": self.world.protocol, "minor": 0},
                "commands": [], "events": [], "hooks": self.world.hooks}

    def do_status(self):
        platform, index = self.place.split(":")
        kernels = {"driver": None, "nodes": []}
        if self.world.kernel_has_driver and self.has_driver():
            kernels = {"driver": "gpu", "nodes": ["/dev/dri/card0"]}
        devices = [{"address": "0000:00:05.0", **kernels}] if self.device() else []
        return {"state": self.state, "command": self.command, "devices": devices,
                "bytes": self.bytes(),
                "processes": [{"pid": 42, "state": self.state,
                               "devices": [{"platform": platform, "index": int(index)}]}]}

    def do_prepare(self, devices=None, check=False, device=None, deadline=10):
        """What single programs have against it shows when they are asked, and not before."""
        asked = {"refusals": (self.refusals or []) + (self.obstacles if check else []),
                 "missing": [], "unknown": []}
        if check and device:
            asked |= {"missing": self.lacks.get(device, []),
                      "unknown": [] if device in ("gpu:0", "pocl:0") else [
                          {"object": "process 42 heat", "reason": f"no such device; not {device}",
                           "todo": "name one"}]}
        return {"processes": [], **asked}

    def do_suspend(self, deadline, policy, devices=None, hooks=True, prepare=False):
        if self.world.is_suspended_by_another:
            self.begin("suspend", "suspending")
            self.command_id = "of another host"
            threading.Timer(1, self.end, ["suspended"]).start()
            raise Refusal("`suspend` is at work", "Busy")
        if self.state == "suspended":
            return {"already": True}
        if self.world.refuses_suspend:
            raise Refusal("process 42: it is stuck: end it", "Refused", object="process 42",
                          reason="it is stuck", todo="end it")
        if devices and not self.device():
            raise Refusal(f"device {devices[0]}: there is no such device here", "Refused")
        self.begin("suspend", "suspending")
        stopped = self.take_time(self.world.suspend_time)
        if stopped or self.residue or (self.lost_device and self.place == "gpu:0"):
            self.end("running")
            if stopped:
                raise Refusal("withdrawn", "Cancelled")
            raise Refusal("process 42: it holds /dev/gpu: end it", "Failed", object="process 42",
                          reason=self.residue or "its device is gone", todo="end it")
        self.end("suspended")
        total = 1e3 * self.world.suspend_time
        return {"already": False, "bytes": self.bytes(),
                "ms": {"still": total - 1e3 * self.world.ran_on, "total": total}}

    def do_resume(self, device=None, map=None, strict=False, hooks=True, devices=None):
        if self.state == "running":
            return {"already": True}
        self.begin("resume", "resuming")
        self.take_time(self.world.resume_time)
        place = device or (map or {}).get("42") or self.place
        if place in self.never:
            self.end("suspended")
            raise Refusal(f"process 42: kernel `solve`: {place} has no fp64: name another", "Failed",
                          object="process 42: kernel `solve`", reason=f"{place} has no fp64",
                          todo="name another", final=True)
        if place not in ("gpu:0", "pocl:0"):
            self.end("suspended")
            raise Refusal(f"process 42: no device {place}", "Failed", object="process 42",
                          reason=f"no device {place}", todo="name another")
        if place == "gpu:0" and not self.is_ready():
            self.end("suspended")
            raise Refusal("process 42: no device gpu:0: plug it in", "Failed",
                          object="process 42", reason="no device gpu:0", todo="plug it in")
        self.place, self.lost_device = place, False
        self.end("running")
        return {"already": False}

    def bytes(self):
        return sum(self.world.programs.values())

    def tell(self, pid, share):
        size = self.world.programs[pid]
        phase = "capturing" if self.command == "suspend" else "rebuilding"
        self.world.holder.port.send({
            "event": "progress", "timestamp": {"seconds": 1, "microseconds": 2},
            "data": {"id": self.command_id, "command": self.command, "phase": phase, "pid": pid,
                     "bytes": int(size * share), "of": size}})

    def take_time(self, seconds):
        """So long a command is at work, and tells of its programs; True when it was withdrawn."""
        pause = seconds / (len(self.world.told) + 1)
        for pid, share in self.world.told:
            if self.cancelled.wait(pause):
                return True
            self.tell(pid, share)
        return self.cancelled.wait(pause)

    def begin(self, command, state):
        if self.command:
            raise Refusal(f"`{self.command}` is at work", "Busy")
        self.command, self.state = command, state
        self.command_id = self.asked.id
        self.cancelled.clear()
        self.asked.begun.set()

    def end(self, state):
        self.command, self.state = None, state

    def do_device_wait(self, timeout=30, **which):
        until = time.monotonic() + timeout
        self.asked.begun.set()
        while not self.device() or self.world.invisible == self.world.holder.name:
            if time.monotonic() > until or self.cancelled.wait(0.02):
                raise Refusal("no such device came", "Timeout", object="device",
                              reason="it did not come", todo="see the kernel's log")
        return {"device": {"address": which.get("address")}}

    def do_cancel(self, id=None):
        is_meant = bool(self.command) and (id is None or id == self.command_id)
        if is_meant:
            self.cancelled.set()
        return {"cancelled": is_meant}


class World:
    def __init__(self, folder):
        self.folder = str(folder)
        self.lock = threading.RLock()
        self.wrong, self.events, self.parameters = [], [], []
        self.appeared = 0
        self.has_plugged = False
        self.ready_time = 0  # seconds from the device's appearance until programs can have it
        self.kernel_has_driver = False  # of the guest
        self.driver_time = 0  # seconds from there until that has the device, and nodes; None: never
        self.hooks = []
        self.unknown_capabilities = ()  # of both QEMUs
        self.quit_time = 0.02         # seconds from the answer to the end
        self.disks_time = 0           # from there until the disks are let go
        self.unplug = 0.02  # seconds; None: never; "refused"
        self.migration_time = 0.1
        self.suspend_time, self.resume_time = 0.05, 0.02
        self.programs = {42: 64 << 20}  # bytes of each on its device
        self.told = ()                # (program, share) that a suspend and a resume tell of
        self.ends_with_all = False  # the source, when it has sent all
        self.ends_half_way = None   # seconds after `migrate`
        self.arrival_time = 0       # seconds from the end until the destination has taken it in
        self.ran_on = 0  # seconds of that until the programs stopped
        self.no_device = self.invisible = None
        self.plug_time = 0            # seconds for device_add
        self.no_effect = None         # whose device_add does nothing
        self.destination_dies = None  # seconds after `migrate`
        self.other_boot = False       # at the destination
        self.speaks_early = False     # an agent at the destination's port
        self.greets, self.protocol = True, 1
        self.vanishes = False         # the device, at device_del
        self.ends_after = self.monitor_lost_after = None  # seconds after device_del
        self.is_leaving = False       # another has sent device_del before
        self.device_refusals = 0      # times that device_add is refused
        self.answers_busy = False     # the agent, to a command that it is at work with
        self.is_suspended_by_another = False  # host, just before
        self.refuses_suspend = False
        self.recovering = 0           # times that the agent has another thing to do first
        self.has_greeted_again = False
        self.commands = []  # (channel, command), each id once
        self.seen = set()
        self.is_over = self.holder_died = False
        self.num_long = 0   # answers that were longer than a line may be
        self.fault = None   # (index or (channel, command), what)
        self.cursed = {}    # id: what
        self.process = None
        self.agent = Agent(self)
        self.source = Machine(self, "source", "running")
        self.destination = Machine(self, "destination", "inmigrate")
        self.source.device = dict(PCI)
        self.holder = self.source

    def other(self, machine):
        return self.destination if machine is self.source else self.source

    def close(self):
        self.is_over = True
        for machine in (self.source, self.destination):
            if not machine.dead:
                machine.die()

    def fault_for(self, channel, message):
        """Which fault this command has; a command that comes again has the one it had."""
        key = (channel, message.get("id"))
        with self.lock:
            if key not in self.seen:
                self.seen.add(key)
                index = len(self.commands)
                self.commands.append((channel, message["execute"]))
                nth = self.commands.count((channel, message["execute"])) - 1
                names = (index, (channel, message["execute"]),
                         (channel, message["execute"], nth))
                if self.fault and self.fault[0] in names:
                    self.cursed[key] = self.fault[1]
                    if not (len(self.fault) > 2 and self.fault[2] == "always"):
                        self.fault = None
            return self.cursed.get(key)

    def answer(self, port, channel, message, execute):
        if self.machine(channel).deaf and channel != "agent":
            return
        fault = self.fault_for(channel, message)
        if fault == "deaf":  # the monitor, from here on
            self.machine(channel).deaf = True
            return
        if fault == "monitor lost":
            self.machine(channel).lose_monitor()
            return
        if fault == "source's monitor lost":  # what was asked is done
            threading.Timer(0.1, self.source.lose_monitor).start()
        if fault == "fail":
            kind = "GenericError" if channel != "agent" else "Failed"
            port.send({"error": {"class": kind, "desc": "told to fail"}, "id": message.get("id")})
            return
        if fault == "hang":
            return
        if fault == "die":
            # A destination that dies as it is told to run may have run: that is a loss, too.
            self.holder_died |= (channel, message["execute"]) == ("destination", "cont")
            self.machine(channel).die()
            return
        if fault == "drop":  # once: the command is lost with the connection
            self.cursed.pop((channel, message.get("id")), None)
            port.drop()
            return
        if fault == "garbage":
            port.send(b"\x00\xff{\"return\": }" + b"x" * 2000)
            port.send({"return": {}, "id": "no one's"})
        if fault == "long":
            self.num_long += 1
            port.send(b"x" * ((1 << 20) + 1))
            return
        while fault and self.process is None:
            time.sleep(0.01)  # whoever asked was started a moment ago
        if fault == "interrupt at once":
            self.process.send_signal(signal.SIGINT)
        if fault == "interrupt":
            self.process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        if fault == "interrupt twice":
            # Once where it waits for the answer, and once where it waits for the undoing.
            self.agent.do_cancel = self.ignore_cancel
            for _ in range(2):
                self.process.send_signal(signal.SIGINT)
                time.sleep(1.2)
        if fault == "hang up":  # a terminal is closed: its kernel says so, and its shell
            threading.Thread(target=self.hang_up, daemon=True).start()
        if fault == "kill":  # whoever asked; what was asked is done
            self.process.kill()
        reply = self.reply(port, channel, message, execute)
        if fault == "late":
            time.sleep(0.5)
        if isinstance(fault, tuple):  # done, and answered with what makes no sense
            reply = {"return": fault[0], "id": reply["id"]}
        if fault == "source deaf":  # done, and nobody answers any more
            self.source.deaf = True
            return
        if fault and str(fault).startswith("with "):
            self.answer_with(fault, port, reply)
            return
        if fault == "lost":  # done, and never answered
            return
        if fault == "lost once":
            self.cursed.pop((channel, message.get("id")), None)
            return
        port.send(reply)

    def answer_with(self, fault, port, reply):
        """The answer and something else come in the same moment, as whoever asked sees it."""
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(0.05)
        port.send(reply)
        if fault == "with an interruption":
            self.process.send_signal(signal.SIGINT)
        else:
            self.holder.lose_monitor()
        time.sleep(0.05)
        self.process.send_signal(signal.SIGCONT)

    def hang_up(self):
        """Once the suspend has begun: an agent does not hear of what comes after it before that."""
        while self.agent.state == "running":
            time.sleep(0.001)
        for _ in range(2):
            self.process.send_signal(signal.SIGHUP)
            time.sleep(0.005)

    def ignore_cancel(self, id=None):
        self.agent.asked.begun.set()
        time.sleep(3)
        return {"cancelled": False}

    def machine(self, channel):
        return self.holder if channel == "agent" else getattr(self, channel)

    def reply(self, port, channel, message, execute):
        """An agent gives the same answer to the same id."""
        key = message.get("id")
        if channel == "agent":
            with self.lock:
                first = key not in self.agent.answers
                slot = self.agent.answers.setdefault(key, [threading.Event(), None])
            if not first and self.answers_busy and not slot[0].is_set():
                return {"error": {"class": "Busy", "desc": f"`{message['execute']}` is at work"},
                        "id": key}
            if not first:
                self.agent.asked.begun.set()
                slot[0].wait()
                return slot[1]
            if self.recovering and message["execute"] in ("prepare", "suspend", "resume"):
                return self.recover(port, key)
            self.agent.asked.id = key
        try:
            reply = {"return": execute(message["execute"], message.get("arguments", {}))}
        except Refusal as refusal:
            reply = {"error": refusal.error}
        reply["id"] = key
        if channel == "agent":
            slot[1] = reply
            slot[0].set()
        return reply

    def recover(self, port, key):
        """An agent that was started anew, and resumes what one before it has left."""
        self.recovering -= 1
        del self.agent.answers[key]
        if not self.has_greeted_again:
            port.send(self.agent.greeting())
        self.has_greeted_again = True
        return {"error": {"class": "Busy", "desc": "`resume` is at work"}, "id": key}

    def truth(self):
        """What a report must say."""
        agent = self.agent
        on_gpu = agent.place == "gpu:0"
        programs = agent.state if agent.state != "running" or on_gpu else "meanwhile"
        return {"guest": self.holder.name,
                "device": "plugged" if self.holder.device else "nowhere", "programs": programs}
