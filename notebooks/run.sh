#!/usr/bin/env bash
# Makes the results that the notebooks read, and executes the notebooks in a virtual environment.
#   notebooks/run.sh [--save] [SCRATCH]
# With --save the outputs are written back into the notebooks. STOWPLAN names the program, VENV a virtual environment that has
# requirements.txt already.
set -euo pipefail
save=; [ "${1:-}" = --save ] && { save=1; shift; }
# What the caller names is relative to the caller's directory, so resolve it before leaving that.
scratch=$(realpath "${1:-$(mktemp -d)}")
top=$(realpath "$(dirname "$0")/..")
stowplan=$(realpath "${STOWPLAN:-${CARGO_TARGET_DIR:-$top/target}/release/stowplan}")

cd "$top"
run() { "$stowplan" "$@" > /dev/null; }
run run scenarios/mysql-local-pv.yaml --no-plots -o results/mysql-local-pv
run sweep scenarios/carve-one-ssd.yaml --quiet --no-plots --resume -o results/carve-one-ssd-sweep
run run scenarios/failures-and-recovery.yaml --set failures.node.mtbf=90d --no-plots -o results/failures-and-recovery
run sweep scenarios/failures-and-recovery.yaml --quiet --no-plots --resume -o results/failures-and-recovery-sweep
run sweep scenarios/anti-affinity-immediate.yaml --quiet --no-plots --resume -o results/anti-affinity-immediate-sweep
# Exit code 1: of some layouts not even what there is fits, which is part of the answer.
run plan scenarios/nodes-for-storage.yaml --all --quiet --no-plots -o results/nodes-for-storage-plan || [ $? = 1 ]
cd notebooks

if [ -z "${VENV:-}" ]; then
  VENV=$scratch/venv
  python3 -m venv "$VENV"
  "$VENV/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt
fi
for notebook in *.ipynb; do
  if [ -n "$save" ]; then
    "$VENV/bin/jupyter" nbconvert --to notebook --execute --inplace "$notebook"
  else
    "$VENV/bin/jupyter" nbconvert --to notebook --execute --output-dir "$scratch" "$notebook"
  fi
done
