#!/usr/bin/env bash
# Everything that must hold before a change is merged. Each check runs, whatever the others say.
#
#   scripts/check.sh VENV [all|lint] [pytest arguments...]
set -uo pipefail
cd "$(dirname "$0")/.."
venv=$1
what=${2:-all}
shift $(($# < 2 ? $# : 2))
bin=$venv/bin

failed=()
check() {
    local name=$1
    shift
    printf '\n==> %s\n' "$name"
    "$@" || failed+=("$name")
}

check "ruff check" "$bin/ruff" check .
check "ruff format" "$bin/ruff" format --check .
check "mypy" "$bin/mypy"
check "import contracts" env PYTHONPATH=src "$bin/lint-imports" --no-logo
check "napari manifest" "$bin/npe2" validate src/napari_sartorius/napari.yaml

if [ "$what" = all ]; then
    # One process per core, each with one thread: small networks gain little from more, and threads
    # that spin while they wait take the cores from the worker processes that some tests start.
    cores=$("$bin/python" -c 'import os; print(min(os.cpu_count() or 1, 4))')
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
    check "pytest" scripts/with_display.sh "$bin/python" \
        "$bin/python" -m pytest --numprocesses "$cores" --dist loadgroup "$@"
fi

echo
if [ ${#failed[@]} -gt 0 ]; then
    printf 'FAILED:%s\n' "$(printf ' %s;' "${failed[@]}")"
    exit 1
fi
if [ "$what" = all ]; then
    echo "OK: lint, types, import contracts, manifest and all tests pass."
else
    echo "OK: lint, types, import contracts and manifest are clean."
fi
