#!/usr/bin/env bash
# A Dask cluster on this machine, for real: a scheduler and two workers on loopback, one worker killed with SIGKILL while it
# works. The merged sweep must be byte for byte that of one process.
#   deploy/dask/test.sh [PYTHON]     needs a Python with requirements.txt installed; STOWPLAN names the program
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${1:-python3}
stowplan=$(realpath "${STOWPLAN:-${CARGO_TARGET_DIR:-target}/release/stowplan}")
scratch=$(mktemp -d)
started=()
cleanup() {
  for pid in "${started[@]}"; do kill -9 -- "-$pid" 2>/dev/null || true; done
  rm -rf "$scratch"
}
trap cleanup EXIT

# Some three hundred short runs, enough for a worker to die in the middle.
cat > "$scratch/sweep.yaml" <<YAML
version: 1
name: dask-test
cluster:
  storageClasses:
    - {name: local-ssd, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}
  nodes:
    - {name: db, cpu: 16, memory: 128Gi, count: 60, disks: [{class: local-ssd, count: 1, size: 3750G, split: 4}]}
workload:
  generate:
    - {name: shop, kind: StatefulSet, sets: 60, replicas: 3, cpu: 3, memory: 16Gi, antiAffinity: required,
       claims: [{name: data, class: local-ssd, size: {lognormal: {median: 300Gi, p95: 900Gi}}}]}
sweep:
  replications: 40
  axes: [{path: "workload.generate[shop].sets", range: {from: 40, to: 70, step: 10}}]
YAML

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# Each in a process group of its own, so that a worker dies with the stowplan that it runs.
background() { local log=$1; shift; setsid "$@" > "$log" 2>&1 & started+=($!); }

address=tcp://127.0.0.1:$(free_port)
export DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=10
background "$scratch/scheduler.log" "$python" -m distributed.cli.dask_scheduler --host 127.0.0.1 --port "${address##*:}" --no-dashboard
for i in 1 2; do
  background "$scratch/worker-$i.log" "$python" -m distributed.cli.dask_worker "$address" --host 127.0.0.1 \
    --nthreads 1 --nworkers 1 --no-nanny --no-dashboard --local-directory "$scratch/worker-$i"
done
victim=${started[1]}

"$stowplan" sweep "$scratch/sweep.yaml" --seed 7 --quiet --output "$scratch/one" > /dev/null
"$python" deploy/dask/sweep.py "$scratch/sweep.yaml" --scheduler "$address" --shards 6 --program "$stowplan" \
  --output "$scratch/many" --keep-shards -- --seed 7 &
driver=$!
# Kill as soon as the victim's first shard has something in its journal.
for _ in $(seq 600); do
  if compgen -G "$scratch/many.shards/*.journal" > /dev/null; then break; fi
  kill -0 "$driver" 2>/dev/null || break
  sleep 0.05
done
kill -9 -- "-$victim"
finished=$(find "$scratch/many.shards" -mindepth 1 -maxdepth 1 -type d -not -name '.*' | wc -l)
[ "$finished" -lt 5 ] || { echo "the worker was killed too late: $finished shards were finished"; exit 1; }
echo "killed worker 1 ($victim) when $finished of 6 shards were finished"
wait "$driver"

diff -r "$scratch/one" "$scratch/many"
shards=$(ls -d "$scratch"/many.shards/*/ | wc -l)
[ "$shards" = 6 ] || { echo "there are $shards shards, not 6"; exit 1; }
echo "a worker was killed, and the bytes are those of one process"
