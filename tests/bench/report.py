#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what scripts/bench.sh has measured into docs/performance.md, between the markers
`<!-- bench: NAME -->` and `<!-- end -->`, and as plots into docs/img (gnuplot). Prose is left alone,
as is what has not been measured. Each table says under which conditions it stands."""

import argparse
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

STYLE = """set terminal svg size 760,440 font "sans-serif,13" background "white" noenhanced
set grid ytics linecolor "#dddddd"
set border 3
set tics nomirror out
set key tmargin center horizontal reverse Left
set autoscale xfix
set offsets graph 0.02, graph 0.02, 0, 0
"""
COLOURS = {"native": "#555555", "shim": "#1f77b4", "other": "#d95f02", "limit": "#cc0000"}
MIB = 1 << 20


def read(results, name):
    path = results / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def conditions(data):
    """Under a table: where the numbers are from. The load is the machine's when they were taken."""
    told = {key: data.get(key) for key in ("machine", "kernel", "compiler", "build", "pocl",
                                           "loader", "commit")}
    words = ", ".join(f"{key} {value}" for key, value in told.items() if value)
    loads = f"load {data['load']:.1f}" if "load" in data else ""
    return f"*{words}; {loads}.*" if loads else f"*{words}.*"


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def within(pairs, form):
    if pairs["low"] is None:
        return form.format(pairs["median"])
    return " ".join((form.format(pairs["median"]),
                     f"({form.format(pairs['low'])} … {form.format(pairs['high'])})"))


def sides_of(row):
    return [side for side in ("shim", "intercept") if f"{side}_ns" in row]


# --- Tables ---

def calls(results):
    data = read(results, "calls")
    if not data:
        return None
    sides = sides_of(data["results"][0])
    heads = ["call", "native"]
    for side in sides:
        heads += [side, "added", "median of pairs"]
    rows = [[r["call"], f"{r['native_ns']:.1f}",
             *(cell for side in sides for cell in (
                 f"{r[f'{side}_ns']:.1f}", f"{r[f'{side}_added_ns']:+.1f}",
                 within(r[f"{side}_pairs_ns"], "{:+.1f}"))),
             r["limit_ns"] or "–"] for r in data["results"]]
    missed = ", ".join(data["missed"])
    end = f"Missed: {missed}." if missed else "All limits are met."
    return f"{table([*heads, 'limit'], rows)}\n\n{end}\n\n{conditions(data)}"


def noise(results):
    data = read(results, "calls")
    if not data or not data.get("noise"):
        return None
    verdicts = {None: "too few sets", False: "yes", True: "**no**"}
    percent = {side: [{key: r[side][key] and 100 * r[side][key] for key in ("median", "low", "high")}
                      for r in data["noise"]] for side in ("shim", "noise")}
    rows = [[r["call"], within(ours, "{:+.1f} %"), within(again, "{:+.1f} %"),
             verdicts[r["outside"]]]
            for r, ours, again in zip(data["noise"], percent["shim"], percent["noise"])]
    heads = ["call", "shim", "another native process", "within the noise"]
    return f"{table(heads, rows)}\n\n{conditions(data)}"


def threads(results):
    data = read(results, "calls")
    if not data or not data["scaling"]:
        return None
    sides = [s for s in ("native", "shim", "intercept") if f"{s}_ratio" in data["scaling"][0]]
    many = data["threads"]
    heads = ["call", *(f"{side}, {what}" for side in sides
                       for what in ("1 thread", f"{many} threads", "ratio"))]
    rows = [[r["call"], *(cell for side in sides for cell in (
        f"{r[f'{side}_one_ns']:.1f}", f"{r[f'{side}_many_ns']:.1f}",
        f"{r[f'{side}_ratio']:.2f}"))] for r in data["scaling"]]
    return f"{table(heads, rows)}\n\n{conditions(data)}"


def lines(results):
    data = read(results, "lines")
    if not data:
        return None
    rows = [[r["call"], r["touched"], r["written"], r["shared"], r["on_the_way"]]
            for r in data["results"]]
    heads = ["call", "touched", "written", "ever shared", "shared by every call"]
    return f"{table(heads, rows)}\n\n{conditions(data)}"


def instructions(results):
    data = read(results, "instructions")
    if not data:
        return None
    rows = [[name, f"{count:g}"] for name, count in data["now"].items()
            if name not in data["shares"]]
    return f"{table(['call', 'instructions'], rows)}\n\n*{data['conditions']}.*"


def program_instructions(results):
    data = read(results, "instructions")
    if not data:
        return None
    rows = [[name.split(": ")[1], f"{data['now'][name]:,}", f"{share:.3%}"]
            for name, share in data["shares"].items()]
    return (f"{table(['program', 'instructions of ours', 'of all'], rows)}\n\n"
            f"*{data['conditions']}.*")


def programs(results):
    data = read(results, "programs")
    if not data:
        return None
    sides = [side for side in ("shim", "intercept") if f"{side}_cpu" in data["results"][0]]
    heads = ["program", "native, ms", "starts", *(f"{side}, {what}" for side in sides
                                                 for what in ("time", "processor time")), "load"]
    rows = [[r["program"], f"{r['native_wall_ms']['median']:.1f}", r["native_wall_ms"]["count"],
             *(within(r[f"{side}_{what}"], "{:+.2%}") for side in sides for what in ("wall", "cpu")),
             f"{r['load']:.1f}"] for r in data["results"]]
    return f"{table(heads, rows)}\n\n{conditions(data)}"


def memory(results):
    data = read(results, "memory")
    if not data:
        return None
    rows = [[r["what"], f"{r['count']:,}", f"{r['native_bytes']:.1f}", f"{r['added_bytes']:+.1f}",
             r["limit"], "met" if r["met"] else f"missed: {r['why']}" if r["why"] else "missed"]
            for r in data["results"]]
    heads = ["bytes of each", "how many", "native", "added", "limit", ""]
    return f"{table(heads, rows)}\n\n{conditions(data)}"


def start(results):
    data = read(results, "start")
    if not data:
        return None
    rows = []
    for r in data["results"]:
        count = r["instructions"]
        added = f"{(count['shim'] - count['native']) / 1e6:+.2f}" if count else "–"
        rows.append([r["what"], f"{r['native_min_ms']:.2f}", f"{r['shim_min_ms']:.2f}",
                     f"{r['added_ms']:+.2f}", within(r["pairs_ms"], "{:+.2f}"), r["limit_ms"],
                     added])
    heads = ["ms", "native, least", "shim, least", "added", "median of pairs", "limit",
             "millions of instructions added"]
    told = f"Threads of a program that never calls: {data['threads']}."
    return f"{table(heads, rows)}\n\n{told}\n\n{conditions(data)}"


def objects(results):
    data = read(results, "objects")
    if not data:
        return None
    rows = [[r["objects"], *(f"{r['ms'][key]:.1f}" for key in
                             ("release", "suspend", "capture", "create", "resume"))]
            for r in data["results"]]
    heads = ["objects", "driver's release", "suspend", "of it capture", "driver's creation",
             "resume"]
    return f"{table(heads, rows)}\n\n{conditions(data)}"


def processes(results):
    data = read(results, "processes")
    if not data:
        return None
    used = {"suspend_cpu_ms": "a suspend's processor time of all programs, ms",
            "suspend_agent_cpu_ms": "of the agent, ms",
            "resume_cpu_ms": "a resume's of all programs, ms",
            "resume_agent_cpu_ms": "of the agent, ms"}
    if "suspend_cpu_ms" not in data["results"][0]:  # of a run before these were measured
        used = {}
    rows = [[r["programs"], f"{r['copied_bytes'] / MIB:.0f}", f"{r['suspend_ms']:.0f}",
             f"{r['slowest_ms']:.0f}", f"{r['resume_ms']:.0f}",
             *(f"{r[name]:.0f}" for name in used)] for r in data["results"]]
    heads = ["programs", "copied, MiB", "suspend, ms", "slowest program's own part, ms",
             "resume, ms", *used.values()]
    return f"{table(heads, rows)}\n\n{conditions(data)}"


def pauses(results):
    found = [read(results, path.stem) for path in results.glob("pause-*.json")]
    return sorted(found, key=lambda data: (data["driver"], -data["pause"], data["share"]))


def driver_name(data):
    return "pocl, copy mode" if data["driver"] == "pocl" else "test driver"


def pause_share(results):
    found = pauses(results)
    if not found:
        return None
    rows = [[driver_name(d), f"{d['share']} %", d["pause"],
             *(f"{d['medians'][key]:.1f}" for key in ("plain", "plain_release", "prepared",
                                                      "prepared_release")),
             f"{d['medians']['rounds']:g}", f"{d['medians']['left']:.1%}",
             f"{d['medians']['read']:.1f}", f"{d['limit_ms']:.1f}", "met" if d["met"] else "missed",
             *(f"{d['medians'][key]:.1f}" for key in ("plain_gates", "prepared_gates")),
             f"{d['load']:.1f}"]
            for d in found]
    heads = ["driver", "written in a round", "pause, ms", "standing still", "of it release",
             "with `--prepare`", "of it release", "rounds", "left", "plain reads of that", "limit",
             "", "gate to gate",
             "with `--prepare` and `--lazy`", "load"]
    what = f"{found[0]['mib']} MiB in buffers of {found[0]['kib']} KiB, ms."
    return f"{table(heads, rows)}\n\n{what}\n\n{conditions(found[0])}"


def beforehand(results):
    data = read(results, "beforehand")
    if not data:
        return None
    rows = [[driver_name(r), r["rate"] or "none", f"{r['writes']:.0f}", f"{r['rounds']:g}",
             f"{r['copied']:.0f}", f"{r['prepare_s']:.2f}", f"{r['kept']:.2f}",
             f"{r['prepared']:.1f}", f"{r['plain']:.1f}"] for r in data["rows"]]
    heads = ["driver", "rate limit, MB/s", "it writes, MB/s", "rounds", "copied, MiB", "in, s",
             "speed kept", "standing still, ms", "without `--prepare`, ms"]
    what = (f"{data['mib']} MiB in buffers of {data['kib']} KiB, {data['share']} % of them written "
            "in a round.")
    return f"{table(heads, rows)}\n\n{what}\n\n{conditions(data)}"


def rates(results):
    """Where nothing is copied there is no rate."""
    names = ("rates", "rates-pocl", "rates-shared")
    found = [data for data in (read(results, name) for name in names) if data]
    if not found:
        return None
    rows = []
    for data in found:
        driver = "pocl, shared" if data["mapping"] == "shared" else driver_name(data)
        for r in data["rows"]:
            rate = {key: f"{r[key]:.2f}" if r["copied"] else "–"
                    for key in ("capture_rate", "rebuild_rate", "write_rate")}
            rows.append([driver, r["bytes"] // MIB, f"{r['buffers']:,}", r["copied"] // MIB,
                         f"{r['read']:.1f}", f"{r['two_queues_read']:.2f}", f"{r['capture']:.1f}",
                         rate["capture_rate"], f"{r['make']:.1f}", f"{r['write']:.1f}",
                         f"{r['two_queues_write']:.2f}", f"{r['rebuild']:.1f}",
                         rate["rebuild_rate"], rate["write_rate"]])
    heads = ["driver", "MiB", "buffers", "copied", "plain reads", "by two queues", "capture",
             "rate", "making", "plain writes", "by two queues", "rebuild", "rate",
             "of the writes alone"]
    return f"{table(heads, rows)}\n\n{conditions(found[0])}"


def lazy(results):
    found = [data for data in (read(results, "lazy"), read(results, "lazy-pocl")) if data]
    if not found:
        return None
    rows = [[driver_name(data), how, *(f"{data['medians'][side][key]:.1f}"
                                       for key in ("resume", "kernel", "all")),
             f"{data['ratio']:.3f}" if side == "lazy" else "", "0.1" if side == "lazy" else ""]
            for data in found for side, how in (("eager", "eager"), ("lazy", "`--lazy`"))]
    heads = ["driver", "resume", "answered", "first kernel", "all is up", "ratio", "limit"]
    what = f"{found[0]['mib']} MiB in buffers of {found[0]['kib']} KiB, ms."
    return f"{table(heads, rows)}\n\n{what}\n\n{conditions(found[0])}"


def prepare(results):
    data = read(results, "prepare")
    if not data:
        return None
    rows = []
    for r in data["results"]:
        for side in ("plain", "prepared"):
            told = side == "prepared"
            rows.append([f"`{r['way']}`", side, f"{r[side]['before']:.1f}" if told else "",
                         f"{r[side]['rebuild']:.1f}", f"{r[side]['request']:.1f}",
                         *(f"{r[f'{key}_ratio']:.3f}" if told else ""
                           for key in ("rebuild", "request"))])
    heads = ["way", "", "prepare", "rebuild", "whole request", "rebuild, ratio", "request, ratio"]
    return f"{table(heads, rows)}\n\n{conditions(data)}"


WAYS = {"turn": "one after the other", "threads": "threads, one context",
        "contexts": "threads, a context each", "binaries": "the same, then from binaries",
        "objects": "compiled so, linked in one context"}


def builds(results):
    data = read(results, "builds")
    if not data:
        return None
    rows = [[WAYS[r["way"]], *(["failed", "", "", ""] if r["failed"] else
                               [f"{r['built']:.0f}", f"{r['built_ratio']:.2f}", f"{r['run']:.0f}",
                                f"{r['run_ratio']:.2f}"])] for r in data["rows"]]
    heads = ["natively, pocl", "all built, ms", "ratio", "all have run, ms", "ratio"]
    under = [[f"{r['slow_ms']} ms", f"{r['at_once']}", f"{r['rebuild']:.0f}",
              f"{r['slow_ms'] * (r['programs'] - 1)}"] for r in data["resumes"]]
    more = table(["a build takes longer by", "at once", "rebuild of a resume, ms",
                  "these delays one after the other, ms"], under)
    what = f"{data['programs']} programs, {data['threads']} threads, pocl without its cache."
    return f"{table(heads, rows)}\n\n{more}\n\n{what}\n\n{conditions(data)}"


def image(results):
    data = read(results, "image")
    if not data:
        return None
    rows = [[r["to"], r["mib"], r["contents"],
             *(f"{r['gb_per_s'][step]:.2f}" for step in ("cp", "save", "verify", "load")),
             f"{r['times_cp']:.2f}", f"{r['times_cp_cpu']:.2f}", f"{r['over_bytes']:,}",
             f"{r['peak_mib']:.1f}"] for r in data["results"]]
    heads = ["to", "MiB", "contents", "`cp`, GB/s", "save", "verify", "load", "save, times `cp`",
             "by processor time", "bytes beside contents", "peak, MiB"]
    return f"{table(heads, rows)}\n\n{conditions(data)}"


def save(results):
    data = read(results, "save")
    if not data:
        return None
    names = {"pocl": "pocl, shared", "testdriver": "test driver"}
    rows = [[names[r["driver"]], r["mib"], r["contents"],
             *(f"{r['gb_per_s'][step]:.2f}" for step in ("cp", "save", "verify", "suspend",
                                                         "resume")), f"{r['times_cp']:.2f}"]
            for r in data["results"]]
    heads = ["driver", "MiB", "contents", "`cp`, GB/s", "`save`", "`verify`", "`suspend --image`",
             "`resume`", "save, times `cp`"]
    return f"{table(heads, rows)}\n\n{conditions(data)}"


def growth(results):
    data = read(results, "growth")
    if not data:
        return None
    allowed = {"descriptors": "exactly 0", "threads": "exactly 0",
               "mappings": f"native + {data['room']['mappings']}",
               "memory": f"native + {data['room']['memory']}"}
    names = {"memory": "resident memory, kB"}
    rows = [[names.get(what, what), f"{data['native'][what]:+d}", f"{data['shim'][what]:+d}", limit]
            for what, limit in allowed.items()]
    told = (f"{data['cycles']:,} cycles with {data['objects']} objects, mapped pointers "
            f"`{data['mapping']}`. " +
            (f"Missed: {'; '.join(data['missed'])}." if data["missed"] else "All is met."))
    return f"{table(['', 'native', 'shim', 'allowed'], rows)}\n\n{told}\n\n{conditions(data)}"


def criu(results):
    data = read(results, "criu")
    if not data:
        return None
    rows = []
    for mib in sorted((key for key in data if key.isdigit()), key=int):
        parts = data[mib]["parts"]
        for what, told in (("dump", ("suspend", "dump")), ("restore", ("restore", "resume"))):
            alone, ours = (data[mib][side][what] for side in ("native", "shadowcl"))
            ratios = [one / other for one, other in zip(ours, alone)]
            rows.append([f"{mib} MiB, {what}", f"{statistics.median(alone):.0f}",
                         f"{statistics.median(ours):.0f}", f"{statistics.median(ratios):.2f}",
                         f"{min(ratios):.2f} to {max(ratios):.2f}",
                         ", ".join(f"{part} {parts[part]:.0f}" for part in told)])
    heads = ["", "criu alone", "shadowcl", "ratio", "from, to", "of it"]
    return f"{table(heads, rows)}\n\n{conditions(data)}"


TABLES = [calls, noise, threads, lines, instructions, program_instructions, programs, memory, start,
          objects, processes, pause_share, beforehand, rates, lazy, prepare, builds, image, save,
          growth, criu]


def write_tables(results, page, drawn):
    """`drawn`: which have a plot, too."""
    text, written = page.read_text(), []
    for make in TABLES:
        name = make.__name__.replace("_", "-")
        made = make(results)
        if made and name in drawn:
            made = f"![The same as a plot](img/bench-{name}.svg)\n\n{made}"
        place = re.compile(rf"(<!-- bench: {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
        if made and place.search(text):
            text = place.sub(lambda found, made=made: found[1] + made + found[2], text)
            written.append(name)
    page.write_text(text)
    print(f"{page}: {', '.join(written) or 'nothing'}")


# --- Plots ---

def block(name, rows):
    return f"${name} << END\n" + "\n".join(" ".join(map(str, row)) for row in rows) + "\nEND\n"


def quoted(text):
    return '"' + text + '"'


def plot_calls(results):
    data = read(results, "calls")
    if not data:
        return None
    rows = [r for r in data["results"] if r["limit_ns"]]
    sides = sides_of(rows[0])
    text = block("data", [[quoted(r["call"]), *(r[f"{side}_added_ns"] for side in sides),
                           r["limit_ns"]] for r in rows])
    text += f"""set title "What is added to a call (least of all rounds), load {data['load']:.1f}"
set ylabel "nanoseconds"
set style data histogram
set style histogram cluster gap 1
set style fill solid 0.9
set xtics rotate by -30
set bmargin 7
set xzeroaxis linetype -1
plot """
    colours = {"shim": COLOURS["shim"], "intercept": COLOURS["other"]}
    titles = {"shim": "shim", "intercept": "Intel's Intercept Layer"}
    parts = [f'$data using {2 + i}:xtic(1) title "{titles[side]}" linecolor "{colours[side]}"'
             for i, side in enumerate(sides)]
    parts.append(f'$data using 0:{2 + len(sides)} with points pointtype 7 pointsize 0.5 '
                 f'linecolor "{COLOURS["limit"]}" title "limit"')
    return text + ", ".join(parts) + "\n"


def plot_programs(results):
    data = read(results, "programs")
    if not data or data["results"][0]["shim_cpu"]["low"] is None:
        return None
    text = block("data", [[quoted(r["program"]), *(100 * r["shim_cpu"][key]
                                                   for key in ("median", "low", "high"))]
                          for r in data["results"]])
    loads = [r["load"] for r in data["results"]]
    return text + f"""set title "Processor time under the shim, beyond native: median of pairs, \
95 %; load {min(loads):.0f} to {max(loads):.0f}"
set ylabel "percent"
set xtics rotate by -20
set bmargin 5
set xrange [-0.5:{len(data['results']) - 0.5}]
set xzeroaxis linetype -1
plot 1 title "limit of the worst (1 %)" linecolor "{COLOURS['limit']}" dashtype 2, \
 $data using 0:2:3:4:xtic(1) with yerrorbars pointtype 7 linewidth 2 \
 linecolor "{COLOURS['shim']}" title "shim"
"""


def lines_plot(title, labels, logscale, rows, columns, log_x_ticks=None):
    """`columns`: (title, colour, dash) for each column of rows after the first."""
    text = block("data", rows)
    text += f'set title "{title}"\nset xlabel "{labels[0]}"\nset ylabel "{labels[1]}"\n'
    text += f"set logscale {logscale}\nset offsets 0, 0, 0, 0\n" if logscale else "set yrange [0:*]\n"
    if log_x_ticks:
        ticks = ", ".join(f'"{label}" {at}' for label, at in log_x_ticks)
        text += f"set xtics ({ticks})\n"
    return text + "plot " + ", ".join(
        f'$data using 1:{2 + i} with linespoints pointtype 7 pointsize 0.6 linewidth 2 '
        f'dashtype {dash} linecolor "{colour}" title "{name}"'
        for i, (name, colour, dash) in enumerate(columns)) + "\n"


def plot_pause(results):
    """Of the program that always writes: there something is left to copy."""
    found = [data for data in pauses(results) if data["driver"] == "pocl"]
    found = [data for data in found if data["pause"] == found[-1]["pause"]]
    if len(found) < 2:
        return None
    first = found[0]
    rows = [[d["share"], d["medians"]["plain"], d["medians"]["prepared"], d["medians"]["read"],
             d["limit_ms"]] for d in found]
    title = (f"Standing still: {first['mib']} MiB on {driver_name(first)}, "
             f"load {first['load']:.1f}")
    return lines_plot(title, ("percent of the buffers written in a round", "milliseconds"), "",
                      rows, [("suspend", COLOURS["other"], 1),
                             ("suspend --prepare", COLOURS["shim"], 1),
                             ("plain reads of what is written", COLOURS["native"], 1),
                             ("limit: 1.3 times that and 50 ms", COLOURS["limit"], 2)])


def plot_objects(results):
    data = read(results, "objects")
    if not data or len(data["results"]) < 2:
        return None
    rows = [[r["objects"], *(r["ms"][key] for key in ("suspend", "resume", "release", "create"))]
            for r in data["results"]]
    return lines_plot(f"Many small objects, load {data['load']:.1f}", ("objects", "milliseconds"),
                      "xy", rows, [("suspend", COLOURS["shim"], 1), ("resume", COLOURS["other"], 1),
                                   ("the driver's own release", COLOURS["shim"], 2),
                                   ("the driver's own creation", COLOURS["other"], 2)])


def plot_processes(results):
    data = read(results, "processes")
    if not data or len(data["results"]) < 2:
        return None
    rows = [[r["programs"], r["suspend_ms"], r["slowest_ms"], r["resume_ms"]]
            for r in data["results"]]
    each = data["results"][0]["copied_bytes"] / MIB
    return lines_plot(f"Programs suspended together by the agent, {each:.0f} MiB each, "
                      f"load {data['load']:.1f}", ("programs", "milliseconds"), "", rows,
                      [("suspend", COLOURS["shim"], 1),
                       ("the slowest program's own part", COLOURS["native"], 2),
                       ("resume", COLOURS["other"], 1)])


def plot_rates(results):
    data = read(results, "rates-pocl") or read(results, "rates")
    rows = [[r["bytes"] // MIB, r["capture"], r["rebuild"], r["read"], r["make"] + r["write"]]
            for r in (data or {}).get("rows", []) if r["buffers"] == 1]
    if len(rows) < 2:
        return None
    return lines_plot(f"One buffer on {driver_name(data)}, load {data['load']:.1f}",
                      ("MiB", "milliseconds"), "xy", sorted(rows),
                      [("capture", COLOURS["shim"], 1), ("rebuild", COLOURS["other"], 1),
                       ("plain reads into touched memory", COLOURS["shim"], 2),
                       ("plain writes into fresh buffers", COLOURS["other"], 2)])


PLOTS = {"calls": plot_calls, "programs": plot_programs, "pause-share": plot_pause,
         "objects": plot_objects, "processes": plot_processes, "rates": plot_rates}


def write_plots(results, folder):
    """The names of those that there was enough for."""
    drawn = []
    for name, make in PLOTS.items():
        script = make(results)
        if not script:
            continue
        target = folder / f"bench-{name}.svg"
        try:
            done = subprocess.run(["gnuplot"], input=f'{STYLE}set output "{target}"\n{script}',
                                  text=True, check=False, capture_output=True)
        except FileNotFoundError as gone:
            raise SystemExit("report: no gnuplot; scripts/install-deps.sh --bench") from gone
        if done.returncode != 0:
            raise SystemExit(f"report: gnuplot: {done.stderr}")
        print(target)
        drawn.append(name)
    return drawn


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("build-bench/results"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    drawn = write_plots(arguments.results, arguments.docs / "img")
    write_tables(arguments.results, arguments.docs / "performance.md", drawn)


if __name__ == "__main__":
    sys.exit(main())
