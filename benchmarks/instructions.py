"""Count the instructions of passes under callgrind, by compiler and instruction set, and compare them with the record.

`python benchmarks/instructions.py` fails if a pass executes over 10 % more than in results/instructions.json;
`--record` writes that file. It needs valgrind, and the compilers of the record that are not here are left out. Counts
do not depend on what else the machine does. valgrind does not know AVX-512.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
RECORD = HERE / "results" / "instructions.json"
KERNELS = HERE.parent / "src" / "fastgmm" / "_kernels"
FLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-std=gnu++17", "-fno-exceptions", "-fno-rtti", "-w"]
SIMD = {"baseline": [], "v3": ["-march=x86-64-v3"]}
COMPILERS = ["g++", "clang++", "clang++-14", "clang++-16", "clang++-19"]
CASES = [
    (kind, dtype, d, K)
    for kind in ("full", "tied", "diag", "spherical")
    for dtype, d, K in (("float64", 8, 16), ("float64", 64, 16), ("float32", 64, 16))
] + [("full", "float64", 2, 8)]
TOLERANCE = 1.1


def count(program: Path, case: tuple) -> int:
    """Instructions of one pass: those of a run with two, less those of a run with one."""
    totals = []
    for repetitions in (1, 2):
        command = [
            "valgrind",
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            program,
            *map(str, case),
            str(repetitions),
        ]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        totals.append(int(re.search(r"Collected : (\d+)", run.stderr)[1]))
    return totals[1] - totals[0]


def measure() -> dict[str, int]:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for compiler in filter(shutil.which, COMPILERS):
            version = subprocess.run([compiler, "-dumpversion"], check=True, capture_output=True, text=True).stdout
            name = f"{compiler.split('+')[0]} {version.split('.')[0].strip()}"
            for simd, flags in SIMD.items():
                program = Path(folder, f"{compiler}-{simd}")
                sources = [HERE / "instructions" / "passes.cpp", KERNELS / "kernels.cpp"]
                subprocess.run([compiler, *FLAGS, *flags, f"-I{KERNELS}", *sources, "-o", program], check=True)
                for case in CASES:
                    found[f"{name}, {simd}: {' '.join(map(str, case))}"] = count(program, case)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write the record")
    record = parser.parse_args().record
    found = measure()
    if record:
        RECORD.write_text(json.dumps(found, indent=1) + "\n")
    known = json.loads(RECORD.read_text())
    worse = [name for name, n in found.items() if n > TOLERANCE * known.get(name, n)]
    for name, n in found.items():
        print(f"{name:45} {n:12,} {n / known.get(name, n):6.2f}{'  more than 1.1' if name in worse else ''}")
    return bool(worse)


if __name__ == "__main__":
    sys.exit(main())
