#!/usr/bin/env python3
"""Run a stowplan sweep over a Dask cluster: one task per shard, with retries, then merge.

    python sweep.py SCENARIO --output DIR --shards 64 --scheduler tcp://scheduler:8786

Any of Dask's back ends will do (dask-jobqueue, dask-kubernetes, Coiled, ...): give the address of the scheduler, or
nothing for a cluster on this machine. Workers need the stowplan program, the scenario with its files, and a folder
that all of them and this driver share.

A shard whose worker dies is run again elsewhere and continues from its journal in the shared folder: no finished run is
lost, and the merged result is byte for byte that of one machine.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from distributed import Client, as_completed

# Exit codes of stowplan: 0 done, 1 some runs failed (a result like any other), 2 bad input, 3 could not write.
DONE = (0, 1)
BAD_INPUT = 2
# A journal that a dying process still holds: wait for it.
BUSY_SECONDS = 60.0


class BadInput(Exception):
    """The scenario or the command line is wrong: trying again does not help."""


def run_shard(program: str, scenario: str, folder: str, index: int, count: int, threads: int, extra: list[str]) -> int:
    """One part of the sweep, on a worker. Returns the exit code, 0 or 1."""
    command = [program, "sweep", scenario, "--shard", f"{index}/{count}", "--resume", "--quiet",
               "--jobs", str(threads), "--output", folder, *extra]
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode in DONE:
            return done.returncode
        if done.returncode == BAD_INPUT:
            raise BadInput(done.stderr.strip())
        if "another stowplan is writing" not in done.stderr or time.monotonic() > deadline:
            raise RuntimeError(f"shard {index}/{count}: exit code {done.returncode}: {done.stderr.strip()}")
        time.sleep(0.5)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run a stowplan sweep over a Dask cluster.")
    parser.add_argument("scenario", type=Path)
    parser.add_argument("--output", type=Path, required=True, help="results folder; the shards go beside it")
    parser.add_argument("--shards", type=int, default=16, help="parts, several per worker (default 16)")
    parser.add_argument("--scheduler", help="address of the Dask scheduler; default: a cluster on this machine")
    parser.add_argument("--threads", type=int, default=1, help="threads of one shard (default 1)")
    parser.add_argument("--retries", type=int, default=5, help="how often a shard is tried again (default 5)")
    parser.add_argument("--program", default=os.environ.get("STOWPLAN", "stowplan"), help="the stowplan program")
    parser.add_argument("--keep-shards", action="store_true", help="do not remove the shards after merging")
    parser.epilog = "Options after -- go to `stowplan sweep`."
    # argparse does not take options behind -- together with a positional argument, so they are split off first.
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    arguments = parser.parse_args(words[:at])
    arguments.extra = words[at + 1:]
    if arguments.shards < 1:
        parser.error("--shards: at least 1")
    return arguments


def main() -> int:
    a = parse()
    output = a.output.resolve()
    shards = output.with_name(output.name + ".shards")
    shards.mkdir(parents=True, exist_ok=True)
    folders = [str(shards / str(index)) for index in range(1, a.shards + 1)]
    with Client(a.scheduler) as client:
        futures = {
            client.submit(run_shard, a.program, str(a.scenario.resolve()), folders[index - 1], index, a.shards,
                          a.threads, a.extra, key=f"stowplan-{output}-{index}-of-{a.shards}-{time.time_ns()}",
                          pure=False, retries=a.retries): index
            for index in range(1, a.shards + 1)
        }
        done, failed = 0, {}
        for future in as_completed(futures):
            error = future.exception()
            if isinstance(error, BadInput):
                client.cancel(list(futures))
                print(error, file=sys.stderr)
                return BAD_INPUT
            if error is not None:
                failed[futures[future]] = error
            done += 1
            print(f"\r{done} of {a.shards} shards", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
    if failed:
        for index, error in sorted(failed.items()):
            print(f"shard {index}/{a.shards}: {error}", file=sys.stderr)
        print("start again with the same options: what is finished is kept", file=sys.stderr)
        return 3
    merged = subprocess.run([a.program, "merge", *folders, "--output", str(output)], check=False)
    if merged.returncode in DONE and not a.keep_shards:
        shutil.rmtree(shards)
    return merged.returncode


if __name__ == "__main__":
    sys.exit(main())
