#!/usr/bin/env bash
# Executes the notebooks in a virtual environment. Argument: a scratch folder (default: a temporary one). With --save the outputs are
# written back into the notebooks.
set -euo pipefail
cd "$(dirname "$0")"
save=; [ "${1:-}" = --save ] && { save=--inplace; shift; }
scratch=${1:-$(mktemp -d)}
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt
for notebook in *.ipynb; do
  if [ -n "$save" ]; then
    "$scratch/venv/bin/jupyter" nbconvert --to notebook --execute --inplace "$notebook"
  else
    "$scratch/venv/bin/jupyter" nbconvert --to notebook --execute --output-dir "$scratch" "$notebook"
  fi
done
