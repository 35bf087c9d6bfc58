# SPDX-License-Identifier: Apache-2.0
"""The programs: how each is found, started, what of its output is the result, and which moments
of its life are worth a suspend."""
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib

from cycles import DEADLINE, after_start, at_byte, at_count, at_file, at_fraction, at_line, at_wait

HERE = os.path.dirname(os.path.abspath(__file__))
# Whose packages Debian installs; another Python may come first in PATH.
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


class Program:
    """What a program is unless it says otherwise."""
    name = packages = None
    does = None           # in a few words, for the table in docs/
    needs_time = False    # its moments are fractions of the native run's time, in the short form too
    timeout = 1800.0      # seconds without the cycles, at least: machines can be busy
    computes = True       # it has OpenCL objects, not only questions
    carries = 0           # suspends, at least, at which objects have contents
    mapping = "shared"    # where it runs with one of the two
    deadline = DEADLINE   # seconds, of a suspend
    takes_long = False    # the short form runs with that one alone
    storm = 20            # under storm, a cycle every so many calls at first; None: never so
    like = None           # another program, whose native run serves for this one
    left = None           # what the native run left behind for the others, see `leaves`

    def __init__(self, short, storming):
        self.short, self.storming = short, storming

    def installed(self):
        return shutil.which(self.name) is not None

    def warms_up(self):
        """A first run, not timed, fills the driver's kernel cache. pocl keeps nothing that was built
        from a source with an #include, and a marker in the output comes at its place anyway."""
        return self.needs_time or not self.short

    def prepare(self, work):
        """Makes the input files in the program's folder."""

    def leaves(self, work):
        """What is in the program's folder after its native run that another one needs."""
        return None

    def environment(self):
        return {}

    def command(self, work):
        raise NotImplementedError

    def moments(self, native):
        """The named moments; run.py spreads more over the run's time."""
        return [after_start("start-up")]

    def result(self, run, work):
        """What must be the same: a list of lines; raises ValueError when there is no result."""
        raise NotImplementedError

    def compare(self, native, other):
        """The differences, in words; none when equal."""
        return [f"- {line}" for line in native if line not in other] + \
               [f"+ {line}" for line in other if line not in native] or \
               ([] if native == other else ["the same lines in another order"])

    def summary(self, lines):
        whole = "\n".join(lines).encode()
        return f"{len(lines)} lines {hashlib.sha256(whole).hexdigest()[:10]}"


def need(run, code=0):
    if run.code != code:
        tail = (run.err.strip() or run.out.strip())[-300:]
        raise ValueError(f"exit code {run.code}: {tail}")


class Hashcat(Program):
    """Cracks MD5 (one long kernel run) or, in the long form, phpass too (many short ones)."""
    name, packages, storm = "hashcat", "hashcat", 25
    does = "finds the password of an MD5 hash"
    secret, mask = "hx7q2zpk", "?l?l?d?l?d?l?lk"
    cache = os.path.join("home", ".cache", "hashcat", "kernels")

    def installed(self):
        return shutil.which("hashcat") is not None

    def leaves(self, work):
        """The binaries of its kernels."""
        folder = os.path.join(work, self.cache)
        return {name: read(os.path.join(folder, name)) for name in sorted(os.listdir(folder))}

    def environment(self):
        return {"XDG_DATA_HOME": "{home}/data"}

    def command(self, work):
        mask = self.mask if self.short else "?l?l?d?l?d?l?l?l"
        # pocl is on hashcat's list of drivers that it would rather not use: --force.
        return ["hashcat", "-m", "0", "-a", "3", "-O", "--force", "--potfile-disable",
                "--logfile-disable", "--restore-disable", "--session", "apps", "--status",
                "--status-timer", "1", hashlib.md5(self.secret.encode()).hexdigest(), mask]

    def moments(self, native):
        # What was found is read after each of its kernel's runs. The password comes late, at nine
        # tenths; what is left of the run's time then is its end, where the objects are released: a
        # program that does no more may end while suspended.
        progress = r"Progress\.+: \d+/\d+ \((\d+)"
        return [after_start("start-up"), at_line("building programs", "Initializing (device|backend)"),
                at_line("self-test and autotune", "Finished self-test|Starting autotune"),
                at_line("computing", r"^Progress\.", 1),
                at_count("reading results", progress, 50)]

    def result(self, run, work):
        need(run)
        # Two of its threads print: what was found, and once a second how far it is.
        return sorted({line for line in re.split(r"[\r\n]+", run.out)
                       if re.match(r"[0-9a-f]{32}:|\$P\$", line)
                       or re.match(r"Status\.+: Cracked", line)
                       or re.match(r"Recovered\.+: 1/1", line)})

    def summary(self, lines):
        found = (line for line in lines if re.match(r"[0-9a-f]{32}:", line))
        return next((line.rpartition(":")[2] for line in found), "nothing cracked")


class HashcatCached(Hashcat):
    """As whoever runs it a second time: its programs are made from the binaries in its cache. A new
    one would be written there."""
    name, like, storm = "hashcat-cached", "hashcat", None
    mapping = "copy"
    does = "the same, from the binaries that its native run left in its cache"
    written = 1_000_000_000  # when, for each of them

    def prepare(self, work):
        if self.left is None:
            return
        os.makedirs(os.path.join(work, self.cache))
        for name, binary in self.left.items():
            path = os.path.join(work, self.cache, name)
            with open(path, "wb") as file:
                file.write(binary)
            os.utime(path, (self.written, self.written))

    def moments(self, native):
        moments = super().moments(native)
        for moment in moments:
            moment.saves = moment.name == "computing"
        return moments

    def result(self, run, work):
        lines = super().result(run, work)
        if self.left is not None:
            self.look_at_cache(work)
            self.look_at_origins(run)
        return lines

    def look_at_cache(self, work):
        folder = os.path.join(work, self.cache)
        now = self.leaves(work)
        built = [name for name in now if now[name] != self.left.get(name) or
                 os.stat(os.path.join(folder, name)).st_mtime != self.written]
        if built or len(now) != len(self.left) or not now:
            raise ValueError(f"its cache was not used: {len(self.left)} binaries before, {len(now)} "
                             f"after, of which new: {built}")

    def look_at_origins(self, run):
        wanted = sorted(["BINARY", len(binary)] for binary in self.left.values())
        for cycle in run.cycles:
            if "origins" in cycle and sorted(cycle["origins"]) != wanted:
                raise ValueError(f"its programs are from {cycle['origins']}, not {wanted}")


class HashcatSlow(Hashcat):
    """phpass: thousands of short kernel runs, each round's state kept in device memory."""
    name = "hashcat-phpass"
    does = "finds the password of a phpass hash"

    def command(self, work):
        return ["hashcat", "-m", "400", "-a", "3", "--force", "--potfile-disable",
                "--logfile-disable", "--restore-disable", "--session", "apps", "--status",
                "--status-timer", "1", "$P$984478476IagS59wHZvyQMArzfx58u.",
                "?l?lsh?l?lt" if not self.short else "hash?l?l?l"]

    def summary(self, lines):
        return lines[0].rpartition(":")[2] if lines else "nothing cracked"


class PythonScript(Program):
    module = None
    reads = None  # where it begins to read its results; each round does too

    def installed(self):
        return subprocess.run([PYTHON, "-c", f"import {self.module}, numpy"],
                              stderr=subprocess.DEVNULL).returncode == 0

    def moments(self, native):
        rounds = native.out.count("stage compute")
        return [after_start("start-up"), at_line("building programs", "^stage build"),
                at_line("first round", "^stage compute 1$"),
                at_line("computing", f"^stage compute {max(rounds // 2, 1)}$"),
                at_line("reading results", self.reads or f"^stage compute {max(rounds - 2, 1)}$")]

    def result(self, run, work):
        need(run)
        if not run.out.rstrip().endswith("done"):
            raise ValueError("the script did not come to its end")
        return re.findall(r"^(?:digest|wrong|device) .*$", run.out, re.M)


class PyopenclArray(PythonScript):
    name, packages, module = "pyopencl", "python3-pyopencl python3-mako", "pyopencl, mako"
    mapping = "copy"
    does = "a script of ours: arrays, reductions, scans, kernels"
    reads = "^stage read 1$"

    def command(self, work):
        return [PYTHON, os.path.join(HERE, "pyopencl_array.py"),
                *(["24"] if self.short else ["80", "--sort"])]


class PyopenclSuite(Program):
    """pyopencl's own tests of arrays; Debian ships them with the documentation's examples. Each test
    releases what it made: they are suspended inside tests."""
    name, packages = "pyopencl-suite", "python3-pyopencl python-pyopencl-doc python3-pytest python3-mako"
    does = "its own tests of arrays"
    mapping = "copy"
    deadline = 600  # one test, of the long form, ends with kernels over gigabytes still running
    carries = 3
    tests = "/usr/share/doc/python-pyopencl-doc/examples/test_array.py"
    # These build so many kernels, or work on so much, that they take most of the time.
    leave_out = ("bitwise or mix_complex or dtype_conversions or divide or comparisons or random or "
                 "outoforder or absrealimag or maximum_minimum or basic_complex or fancy or multi_put or "
                 "empty_reductions or if_positive or div_type or vs_numpy or any_all or pow or "
                 "subtract_array or zeros_large or event_management or test_slice or test_copy or "
                 "test_multiply or vector_fill")

    def installed(self):
        return os.path.exists(self.tests) and subprocess.run(
            [PYTHON, "-c", "import pyopencl, mako, pytest"],
            stderr=subprocess.DEVNULL).returncode == 0

    def command(self, work):
        command = [PYTHON, "-u", "-m", "pytest", "-p", "no:cacheprovider", "-p", "pyopencl_moments",
                   "-v", "-W", "ignore", "--tb=short", self.tests]
        return command + (["-k", f"not ({self.leave_out})"] if self.short else [])

    def environment(self):
        return {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": HERE}

    def moments(self, native):
        tests = re.findall(r"^array in (.*)$", native.err, re.M)
        return [after_start("start-up")] + [at_wait(f"in {test}", "^array in ", k)
                                            for k, test in enumerate(tests, 1)]

    def result(self, run, work):
        need(run)
        return [f"{name} {outcome}" for name, outcome in
                re.findall(r"::(\S.*?) (PASSED|FAILED|SKIPPED|ERROR)", run.out)]

    def summary(self, lines):
        return f"{sum(line.endswith(' PASSED') for line in lines)} of {len(lines)} passed"


class Opencv(PythonScript):
    name, packages, module, storm = "opencv", "python3-opencv", "cv2", 60
    does = "its T-API: filters, shapes and algebra on pictures and matrices"

    def environment(self):
        # Without it OpenCV looks for a GPU only.
        return {"OPENCV_OPENCL_DEVICE": os.environ.get("OPENCV_OPENCL_DEVICE", ":CPU:")}

    def command(self, work):
        return [PYTHON, os.path.join(HERE, "opencv_tapi.py"), "30" if self.short else "300"]


class Ffmpeg(Program):
    name, packages, storm = "ffmpeg", "ffmpeg", 40
    mapping = "copy"
    does = "blurs, sharpens, convolves, erodes and turns the frames of a film"
    filters = ("format=yuv420p,hwupload,avgblur_opencl=sizeX=3,unsharp_opencl,"
               "convolution_opencl=0m=0 -1 0 -1 5 -1 0 -1 0,erosion_opencl,transpose_opencl=dir=clock,"
               "hwdownload,format=yuv420p")

    def frames(self):
        return 120 if self.short else 900

    def command(self, work):
        return ["ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error", "-progress", "pipe:2",
                "-stats_period", "0.1", "-init_hw_device", "opencl=cl:0.0", "-filter_hw_device",
                "cl", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-frames:v",
                str(self.frames()), "-vf", self.filters, "-f", "framemd5", "-"]

    def moments(self, native):
        frames = self.frames()
        counter = r"(?m)^frame=\s*(\d+)"
        return [after_start("start-up"), after_start("building programs", 0.2),
                at_count("first frames", counter, 2),
                at_count("computing", counter, frames // 2),
                at_count("reading results", counter, frames * 7 // 8)]

    def result(self, run, work):
        need(run)
        return [line for line in run.out.splitlines() if line and not line.startswith("#software")]

    def summary(self, lines):
        return f"{sum(not line.startswith('#') for line in lines)} frames " \
               f"{hashlib.sha256(''.join(lines).encode()).hexdigest()[:10]}"


class Gegl(Program):
    """Operations that have an OpenCL form and give the same pixels twice in a row natively: c2g
    does not, and oilify crashes on pocl without us.

    babl, which converts pixels for gegl on the CPU, has several ways from one format to another,
    not the same in the last bits, and takes the one that was fastest when it timed them: natively,
    with an empty home each, 15 runs gave three different pictures. It keeps its choices in a file;
    all runs after the first get that of the first."""
    name, packages, storm, needs_time = "gegl", "gegl", 1, True
    does = "blurs a picture and takes its noise away"
    chain = ("snn-mean radius=6 pairs=1 bilateral-filter blur-radius=6 motion-blur-linear length=20 "
             "box-blur radius=8 noise-reduction iterations=8")
    choices = os.path.join("home", ".cache", "babl", "babl-fishes")
    conversions = None  # what was in that file after the first run

    def environment(self):
        # `yes` would mean a GPU only.
        return {"GEGL_USE_OPENCL": os.environ.get("GEGL_USE_OPENCL", "cpu")}

    def prepare(self, work):
        write_png(os.path.join(work, "in.png"), *((2000, 1500) if self.short else (4000, 3000)))
        if self.conversions:
            os.makedirs(os.path.dirname(os.path.join(work, self.choices)))
            with open(os.path.join(work, self.choices), "w") as file:
                file.write(self.conversions)

    def command(self, work):
        chain = self.chain.split() if self.short else self.chain.split() * 2
        return ["gegl", "in.png", "-o", "out.png", "--", *chain]

    def moments(self, native):
        # The picture is written when all is computed, and the pixels are read for it.
        return [after_start("start-up"), after_start("building programs", 0.05),
                at_fraction(0.3), at_fraction(0.6), at_file("reading results", "out.png")]

    def result(self, run, work):
        need(run)
        if not self.conversions:
            with open(os.path.join(work, self.choices)) as file:
                # One used for less than a hundred pixels may be chosen anew, at random.
                self.conversions = re.sub(r"pixels=\d{1,2}\b", "pixels=100", file.read())
        path = os.path.join(work, "out.png")
        lines = png_pixels(path)
        os.unlink(path)
        return lines

    def summary(self, lines):
        return lines[-1]


class Clpeak(Program):
    """Its numbers are times and can't be the same; the lines that it prints are."""
    name, packages, storm = "clpeak", "clpeak", 200
    does = "measures bandwidths and latencies, to its end"
    takes_long = True  # it maps gigabytes, which are copied with the other mapping, for minutes

    def command(self, work):
        return ["clpeak", "-p", "0"] + (["--kernel-latency", "--global-bandwidth",
                                         "--transfer-bandwidth"] if self.short else [])

    def result(self, run, work):
        need(run)
        return [re.sub(r"\s*:\s*[\d.]+(e[+-]?\d+)?( us)?$", " : NUMBER", line.rstrip())
                for line in run.out.splitlines() if line.strip() and "Clock frequency" not in line]

    def moments(self, native):
        return [after_start("start-up"), after_start("building programs", 0.1),
                at_line("computing", "float4 "), at_line("writing", "enqueueWriteBuffer"),
                at_line("reading results", "enqueueReadBuffer")]

    def summary(self, lines):
        return f"{sum(line.endswith('NUMBER') for line in lines)} numbers"


class Clinfo(Program):
    """Every property of every platform and device. Under shadowcl only extensions and platforms
    below OpenCL 1.2 may be missing, and the loader is another."""
    name, packages, computes, storm = "clinfo", "clinfo", False, 1
    does = "lists all properties of all devices"
    ours = re.compile(r"ICD|OCL_ICD|ICDL|LOADER|EXTENSIONS(_WITH_VERSION)?\b|SUFFIX", re.I)
    # Properties of an extension's own, gone when the extension is filtered.
    owned = {"cl_khr_command_buffer": "COMMAND_BUFFER", "cl_khr_il_program": "IL_VERSION"}
    # Told anew at each run by the driver.
    volatile = re.compile(r"MAX_CLOCK_FREQUENCY|FREE_MEMORY|GLOBAL_MEM_SIZE|MAX_MEM_ALLOC_SIZE|"
                          r"TIMER_RESOLUTION")

    def command(self, work):
        # It makes some 130 calls that wait for a cycle.
        once = "clinfo --raw"
        return ["sh", "-c", f"{once} && {once}"] if self.storming else once.split()

    def moments(self, native):
        room = max(len(native.out) - 12288, 2)
        return [at_byte("start-up", 0), at_byte("asking", room // 3), at_byte("asking on", room * 2 // 3),
                at_byte("reading results", room)]

    def result(self, run, work):
        need(run)
        return [line.rstrip() for line in run.out.splitlines() if line.strip()]

    def compare(self, native, other):
        native, _ = without_old_platforms(native)
        filtered = self.filtered(native, other)
        gone = [part for name, part in self.owned.items() if name in filtered]
        differences = super().compare(*([line for line in lines if not self.expected(line, gone)]
                                        for lines in (native, other)))
        return differences + [f"+ extension {name}" for name in self.filtered(other, native)]

    def expected(self, line, gone):
        return self.ours.search(line) or self.volatile.search(line) or \
            any(part in line for part in gone)

    def filtered(self, native, other):
        """The extensions of the first that the second does not report."""
        words = [set(re.findall(r"\bcl_\w+", "\n".join(lines))) for lines in (native, other)]
        return sorted(words[0] - words[1])

    def notes(self, native, other):
        native, old = without_old_platforms(native)
        names = [f"platform {name} (OpenCL 1.1 or less)" for name in old]
        names += self.filtered(native, other)
        return [f"filtered: {', '.join(names)}"] if names else []

    def summary(self, lines):
        return f"{len(lines)} properties"


def without_old_platforms(lines):
    """`clinfo --raw` without the platforms below OpenCL 1.2, which shadowcl leaves out, and their
    names. A platform has a section of its own properties, later one of its devices."""
    sections = [[]]
    for line in lines:
        if "CL_PLATFORM_NAME" in line or "CL_ICDL_NAME" in line:
            sections.append([])
        sections[-1].append(line)
    old = {name_of(section) for section in sections
           if re.search(r"CL_PLATFORM_VERSION +OpenCL 1\.[01]\b", "\n".join(section))}
    kept = [line for section in sections if name_of(section) not in old for line in section]
    count = re.compile(r"(#PLATFORMS +)(\d+)")
    return [count.sub(lambda match: f"{match[1]}{int(match[2]) - len(old)}", line)
            for line in kept], sorted(old)


def name_of(section):
    match = re.search(r"CL_PLATFORM_NAME +(.*)", section[0]) if section else None
    return match.group(1) if match else None


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write_png(path, width, height):
    """A picture with edges, slopes and noise, from arithmetic alone."""
    noise = hashlib.shake_256(b"shadowcl").digest(3 * width + 7 * height)
    ramp = bytes((x * 255 // (3 * width)) & 255 for x in range(3 * width))
    rows = bytearray()
    for y in range(height):
        row = ramp if (y // 64) % 2 else ramp[::-1]
        if (y // 16) % 5 == 0:
            row = noise[7 * y % (7 * height):][:3 * width].ljust(3 * width, b"\x40")
        rows += b"\0" + row
    with open(path, "wb") as png:
        png.write(b"\x89PNG\r\n\x1a\n")
        for kind, body in ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
                           (b"IDAT", zlib.compress(bytes(rows), 1)), (b"IEND", b"")):
            png.write(struct.pack(">I", len(body)) + kind + body +
                      struct.pack(">I", zlib.crc32(kind + body)))


def png_pixels(path):
    """The header and the digest of the pixels, without the text and time chunks."""
    data = read(path)
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError(f"`{path}` is not a PNG file")
    at, header, body = 8, b"", bytearray()
    while at + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        header = data[at + 8:at + 8 + size] if kind == b"IHDR" else header
        body += data[at + 8:at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    pixels = zlib.decompress(bytes(body))
    return [f"{width}x{height} depth {depth} colour {colour}",
            f"pixels {hashlib.sha256(pixels).hexdigest()[:16]}"]


SHORT = (Hashcat, HashcatCached, PyopenclArray, PyopenclSuite, Opencv, Ffmpeg, Gegl, Clpeak, Clinfo)
LONG = (Hashcat, HashcatCached, HashcatSlow, PyopenclArray, PyopenclSuite, Opencv, Ffmpeg, Gegl, Clpeak,
        Clinfo)


def all_programs(short, storming):
    return [kind(short, storming) for kind in (SHORT if short else LONG)
            if not storming or kind.storm is not None]
