# Is there room for the environment, and where? Functions for setup_env.sh and .ci/run to source.
# shellcheck shell=bash
#
# pip unpacks gigabytes before it notices a full disk, and then says so in a page of its own.

# MiB that an environment takes up (du), and that pip's downloads take up beside it meanwhile.
# Measured on Linux; the processor's build of torch is 4.8 GB smaller than that with CUDA.
environment_mib() {
    case $1-$(torch_build) in
        demo-cuda) echo 6100 ;;
        docs-cuda) echo 6250 ;;
        test-cuda) echo 7700 ;;
        demo-*) echo 1550 ;;
        docs-*) echo 1700 ;;
        *) echo 3150 ;;
    esac
}

download_mib() {
    if files_lie_here; then
        echo 500 # for those that the folder lacks
        return
    fi
    case $1-$(torch_build) in
        test-cuda) echo 3500 ;;
        *-cuda) echo 3100 ;;
        test-*) echo 950 ;;
        *) echo 500 ;;
    esac
}

# Only the wheels for Linux on x86_64 bring CUDA, unless the index is torch's one for processors.
torch_build() {
    case $(uname -s)-$(uname -m)-$(env | grep '^PIP_.*INDEX_URL=' || true) in
        *whl/cpu*) echo cpu ;;
        Linux-x86_64-*) echo cuda ;;
        *) echo cpu ;;
    esac
}

# Wheels in a folder of this computer are unpacked where they lie, without a copy.
files_lie_here() {
    local settings
    settings=$(env | grep '^PIP_'; python3 -m pip config list 2>/dev/null) || true
    grep -Eqi "(index.url|find.links)=['\"]?(file:)?/" <<<"$settings"
}

existing_parent() {
    local place=$1
    while [ ! -e "$place" ]; do place=$(dirname "$place"); done
    printf '%s\n' "$place"
}

# MiB free where a path is, or will be; nothing where the system does not say.
free_mib() {
    df -Pk "$(existing_parent "$1")" 2>/dev/null |
        awk 'NR == 2 && $4 ~ /^[0-9]+$/ { print int($4 / 1024) }'
}

disk_of() {
    df -Pk "$(existing_parent "$1")" 2>/dev/null | awk 'NR == 2 { $1 = $2 = $3 = $4 = $5 = ""; print }'
}

# MiB still to be written to an environment, of which a part may be there.
missing_mib() {
    local venv=$1 profile=$2 there=0 missing
    [ -d "$venv" ] && there=$(du -sm "$venv" 2>/dev/null | cut -f1)
    missing=$(($(environment_mib "$profile") - ${there:-0}))
    echo $((missing > 0 ? missing : 0))
}

gigabytes() { awk -v mib="$1" 'BEGIN { printf "%.1f GB\n", mib * 1.048576 / 1000 }'; }

short() { [ -n "$(free_mib "$1")" ] && [ "$(free_mib "$1")" -lt "$2" ]; }

# One sentence about what has too little room, and status 0; status 1 where there is enough.
too_little_room() {
    local venv=$1 profile=$2 temporary=${TMPDIR:-/tmp} need downloads beside=""
    need=$(missing_mib "$venv" "$profile")
    downloads=$(($(download_mib "$profile") * need / $(environment_mib "$profile")))
    if [ "$(disk_of "$venv")" = "$(disk_of "$temporary")" ]; then
        need=$((need + downloads))
        beside=", downloads included"
    elif short "$temporary" "$downloads"; then
        echo "Too little room for pip's downloads in $temporary: $(gigabytes "$downloads") are" \
            "needed for a while, $(gigabytes "$(free_mib "$temporary")") are free; free some, or" \
            "name another folder: TMPDIR=/other/disk make $profile"
        return 0
    fi
    short "$venv" "$need" || return 1
    echo "Too little room for the environment in $venv: $(gigabytes "$need") are needed$beside," \
        "$(gigabytes "$(free_mib "$venv")") are free; free some, or put it on another disk:" \
        "make $profile VENV=/other/disk/venv"
}

# MiB of memory that nobody uses; nothing where the system does not say.
free_memory_mib() {
    awk '/^MemAvailable:/ { print int($2 / 1024) }' "${MEMINFO:-/proc/meminfo}" 2>/dev/null
}

# Whether programs may lie in a folder: mounts with "noexec" take files and run none.
runs_files() {
    local trial
    trial=$(mktemp "$1/trial.XXXXXX" 2>/dev/null) || return 1
    printf '#!/bin/sh\nexit 0\n' >"$trial"
    chmod +x "$trial"
    "$trial" 2>/dev/null
    local status=$?
    rm -f "$trial"
    return "$status"
}

# The first of these folders with so many MiB for files that are there for one run only. What lies
# in /dev/shm is memory, which the run needs too: 2.5 times as much must be free there.
roomy_folder() {
    local need=$1 folder free memory
    shift
    for folder in "$@"; do
        runs_files "$folder" || continue
        free=$(free_mib "$folder")
        case $folder in
            /dev/shm | /dev/shm/*)
                memory=$(free_memory_mib)
                [ "${memory:-0}" -ge $((need * 5 / 2)) ] || continue
                [ "${free:-0}" -ge $((need * 5 / 2)) ] || continue
                ;;
        esac
        if [ "${free:-0}" -ge "$need" ]; then
            printf '%s\n' "$folder"
            return 0
        fi
    done
    return 1
}
