#!/usr/bin/env bash
# Runs a command with a virtual screen, so that window tests neither need nor disturb a real one.
#
#   scripts/with_display.sh PYTHON COMMAND...
#
# Without Xvfb, or where Qt cannot use it, Qt draws into memory instead (platform "offscreen").
# Set SARTORIUS_REAL_DISPLAY=1 to watch the windows on the screen at hand.
set -euo pipefail
python=$1
shift

scratch=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT

export XDG_RUNTIME_DIR="$scratch/run"
mkdir -m 700 "$XDG_RUNTIME_DIR"

start_screen() {
    command -v Xvfb >/dev/null || return 1
    Xvfb -displayfd 3 -screen 0 1600x1200x24 -nolisten tcp 3>"$scratch/number" >/dev/null 2>&1 &
    server=$!
    for _ in $(seq 100); do
        if [ -s "$scratch/number" ]; then
            DISPLAY=":$(cat "$scratch/number")"
            export DISPLAY
            return 0
        fi
        kill -0 "$server" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

qt_opens() {
    "$python" -c 'from qtpy.QtWidgets import QApplication; QApplication([])' >/dev/null 2>&1
}

if [ "$(uname -s)" = Linux ] && [ -z "${SARTORIUS_REAL_DISPLAY:-}" ]; then
    unset WAYLAND_DISPLAY QT_QPA_PLATFORM
    export LIBGL_ALWAYS_SOFTWARE=1
    if ! { start_screen && qt_opens; }; then
        export QT_QPA_PLATFORM=offscreen
        echo "No virtual screen (Xvfb) that Qt can use: windows are drawn in memory, and tests" \
            "that look at the OpenGL canvas are skipped."
        qt_opens || echo "Qt cannot start here at all: tests with windows will fail; the remedy" \
            "stands above, under 'system libraries that are missing'."
    fi
fi

"$@"
