#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Measures everything that docs/performance.md tells, and writes its tables and plots anew. What a
# benchmark says is kept in build-bench/results, one JSON file each, so that a part can be measured
# again later, by itself.
set -uo pipefail

usage() {
    cat <<END
usage: scripts/bench.sh [--short] [--build DIR] [--only NAME]... [--no-docs]

  --short      few rounds and small sizes, to see that all of it runs: minutes, not an hour
  --build DIR  measure what is built there, instead of building a Release into build-bench
  --only NAME  one of the benchmarks below; may be given several times
  --no-docs    write no tables and plots into docs/

Benchmarks: ${order[*]}

Intel's Intercept Layer is measured beside the shim where SHADOWCL_BENCH_CLINTERCEPT names its
libOpenCL.so.1. A limit that is missed is told of, and is no failure of this script.
END
}

sizes='--cycles 3 --cases 1M/1,1M/10000,64M/1,64M/10000,1G/1,1G/10000,4G/1,4G/10000|--cases 1M/1,16M/1,16M/1000'
# name: script and arguments; behind a | those of the short form. What is not there is left out.
declare -A benchmarks=(
    [calls]='bench.py --threads 8|--pairs 1 --rounds 8'
    [programs]='programs.py --starts 20 --pairs 5|--starts 6 --pairs 2 --percent 20'
    [instructions]='instructions.py|'
    [lines]='lines.py|'
    [memory]='memory.py|--objects 5000 --events 200000'
    [start]='start.py --runs 40|--runs 8'
    [objects]='objects.py|--counts 1000,3000,10000 --cycles 3'
    [processes]='agent.py --json --counts 1 2 4 8 16|--counts 1 2 4 --rounds 3 --size 65536'
    [rates]="rates.py $sizes"
    [rates-pocl]="rates.py --driver pocl $sizes"
    [rates-shared]="rates.py --driver pocl --mapping shared $sizes"
    [beforehand]='beforehand.py|--mib 32 --kib 256 --cycles 1 --rates 0,50'
    [lazy]='lazy.py|--mib 64 --kib 256'
    [lazy-pocl]='lazy.py --driver pocl|--mib 64 --kib 256'
    [prepare]='prepare.py|--pairs 2'
    [builds]='builds.py|--programs 4 --rounds 1'
    [image]='image.py --rounds 3 --mib 64 1024 4096|--mib 16 --rounds 2'
    [save]='save.py|--mib 16 --rounds 2'
    [growth]='../live/growth/growth.py --cycles 1000|--cycles 40'
    [criu]='criu.py --pairs 3|--mib 64 --pairs 2'
)
for share in 5 10 20 40 80; do
    more="--mib 1024 --cycles 3 --share $share|--mib 64 --kib 256"
    benchmarks[pause-$share]="pause.py $more"
    benchmarks[pause-pocl-$share]="pause.py --driver pocl $more"
    # The same of a program that always writes.
    more="--pause 10 $more"
    benchmarks[pause-on-$share]="pause.py $more"
    benchmarks[pause-pocl-on-$share]="pause.py --driver pocl $more"
done
order=(instructions lines memory calls programs start objects processes
    pause-{,pocl-}{,on-}{5,10,20,40,80} beforehand rates{,-pocl,-shared} lazy lazy-pocl prepare
    builds image save growth criu)

short=
docs=1
build=
only=()
while (($#)); do
    case $1 in
    --short) short=1 ;;
    --no-docs) docs= ;;
    --build | --only)
        [[ -v 2 ]] || { usage >&2 && exit 2; }
        if [[ $1 == --build ]]; then build=$(realpath "$2"); else only+=("$2"); fi
        shift
        ;;
    --help | -h) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
    esac
    shift
done
for name in "${only[@]}"; do
    [[ -v benchmarks[$name] ]] || { echo "bench.sh: no benchmark \`$name\`" >&2 && exit 2; }
done

cd "$(dirname "$0")/.." || exit 1
scripts/install-deps.sh --bench || exit 1
if [[ -z $build ]]; then
    build=$PWD/build-bench
    cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null &&
        cmake --build "$build" >/dev/null || exit 1
fi
results=$PWD/build-bench/results
mkdir -p "$results" || exit 1

# Nothing is kept of a benchmark that did not come to its end.
measure() {
    local name=$1 script arguments more file
    IFS='|' read -r arguments more <<<"${benchmarks[$name]}"
    script=tests/bench/${arguments%% *}
    arguments=${arguments#"${arguments%% *}"}
    if [[ ! -f $script ]]; then
        printf 'bench.sh: %s: there is no %s\n' "$name" "$script"
        return
    fi
    [[ -n $short ]] && arguments+=" $more"
    printf '== %s (load %s)\n' "$name" "$(cut -d ' ' -f 1 /proc/loadavg)"
    file=$results/$name.json
    # shellcheck disable=SC2086 # they are words
    python3 -B "$script" --build "$build" --json $arguments >"$file.new"
    local status=$?
    if python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$file.new" 2>/dev/null; then
        mv "$file.new" "$file"
        ((status)) && printf 'bench.sh: %s: not all is as wanted (exit code %d)\n' "$name" $status
    elif ((status == 77)); then # a CRIU that works here, or root's rights, are missing
        printf 'bench.sh: %s: left out: %s\n' "$name" "$(tail -n 1 "$file.new")"
        rm -f "$file.new"
    else
        cat "$file.new"
        rm -f "$file.new"
        printf 'bench.sh: %s: no result (exit code %d)\n' "$name" $status
        failed+=("$name")
    fi
}

failed=()
for name in "${order[@]}"; do
    ((${#only[@]})) && [[ " ${only[*]} " != *" $name "* ]] && continue
    measure "$name"
done
if [[ -n $docs ]]; then
    python3 -B tests/bench/report.py --results "$results" --docs docs || failed+=(report)
fi
((${#failed[@]} == 0)) || { printf 'bench.sh: FAILED: %s\n' "${failed[*]}" && exit 1; }
