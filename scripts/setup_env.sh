#!/usr/bin/env bash
# Makes the virtual environment that a make target needs, from nothing but Python and pip's index.
#
#   scripts/setup_env.sh VENV PROFILE        PROFILE is demo, test or docs
#
# Running it again costs nothing: a stamp holds the checksum of pyproject.toml and of this file.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/disk_room.sh

venv=$1
profile=$2
case $profile in
    demo) requirement="." covers="demo" ;;
    test) requirement=".[all,test]" covers="demo test" ;;
    docs) requirement=".[docs]" covers="demo docs" ;;
    *) echo "unknown profile '$profile': say demo, test or docs" >&2; exit 2 ;;
esac

say() { printf '==> %s\n' "$*"; }

# Debian packages are installed when this user may (root, or sudo without a password).
apt_install() {
    command -v apt-get >/dev/null || return 1
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    say "Installing system packages: $*"
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends)
    "${as_root[@]}" "${install[@]}" "$@" </dev/null >/dev/null 2>&1 && return 0
    "${as_root[@]}" apt-get update -q </dev/null >/dev/null 2>&1 || true
    "${as_root[@]}" "${install[@]}" "$@" </dev/null >/dev/null
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null && new_enough "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

make_venv() {
    local python
    if ! python=$(find_python); then
        apt_install python3.11 python3.11-venv || true
        python=$(find_python) || {
            echo "Python 3.11 or newer is needed and was not found. Install it, or name it:" \
                "make $profile PYTHON=/path/to/python3.11" >&2
            exit 1
        }
    fi
    say "Making $venv with $("$python" --version)"
    if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
        local version
        version=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        rm -rf "$venv"
        if ! { apt_install "$version" && "$python" -m venv "$venv"; }; then
            echo "This Python cannot make a virtual environment. Run this, then try again:" >&2
            echo "    sudo apt-get install -y $version" >&2
            exit 1
        fi
    fi
}

# What a Qt window needs from the system, as "shared library:Debian package".
window_libraries="
libEGL.so.1:libegl1 libGL.so.1:libgl1 libdbus-1.so.3:libdbus-1-3 libfontconfig.so.1:libfontconfig1
libglib-2.0.so.0:libglib2.0-0 libxkbcommon-x11.so.0:libxkbcommon-x11-0
libxcb-cursor.so.0:libxcb-cursor0 libxcb-icccm.so.4:libxcb-icccm4 libxcb-image.so.0:libxcb-image0
libxcb-keysyms.so.1:libxcb-keysyms1 libxcb-render-util.so.0:libxcb-render-util0
libxcb-shape.so.0:libxcb-shape0 libxcb-xinerama.so.0:libxcb-xinerama0
"

install_window_libraries() {
    [ "$(uname -s)" = Linux ] || return 0
    local known missing=() pair
    known=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null || true)
    for pair in $window_libraries; do
        grep -q "${pair%%:*} " <<<"$known" || missing+=("${pair##*:}")
    done
    command -v Xvfb >/dev/null || missing+=(xvfb)
    [ ${#missing[@]} -eq 0 ] && return 0
    if ! apt_install "${missing[@]}"; then
        echo "Some window tests need system libraries that are missing. To have them, run:" >&2
        echo "    sudo apt-get install -y ${missing[*]}" >&2
        echo "Going on without them." >&2
    fi
}

# Outside the stamp on purpose: it takes a moment, and the remedy stays on the screen until used.
[ "$profile" = test ] && install_window_libraries

key=$(cat pyproject.toml "$0" | cksum)
stamp="$venv/.installed-$profile"
if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$key" ]; then
    exit 0
fi
if [ ! -e "$stamp" ] && sentence=$(too_little_room "$venv" "$profile"); then
    echo "$sentence" >&2
    exit 1
fi
[ -x "$venv/bin/python" ] || make_venv

say "Installing $requirement and what it needs into $venv (some minutes the first time)"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
"$venv/bin/python" -m pip install -q --upgrade pip </dev/null
"$venv/bin/python" -m pip install -q -e "$requirement" </dev/null
for covered in $covers; do
    printf '%s\n' "$key" >"$venv/.installed-$covered"
done
