"""Setting up an environment tells at once of a small disk, and .ci/run finds a larger one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or BASH is None, reason="make and its scripts need bash"
)

# Says of the longest known path above the one asked for how much is free on "its disk".
DF = """#!/bin/bash
asked=${@: -1}
[ "${asked:0:1}" = / ] || asked=$PWD/$asked
best="" line=""
while read -r place kib; do
    case $asked/ in
        "$place"/*) [ ${#place} -gt ${#best} ] && best=$place line="fake 1 1 $kib 1% $place" ;;
    esac
done <"$FAKE_DISKS"
[ -n "$line" ] || exit 1
echo "Filesystem 1024-blocks Used Available Capacity Mounted on"
echo "$line"
"""
UNAME = '#!/bin/sh\n[ "$1" = -s ] && echo Linux || echo x86_64\n'
NOTHING = "#!/bin/sh\nexit 1\n"
MIB = 1024  # KiB


class Machine:
    """A shell with the functions of the script, on disks that are as full as one likes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._programs = folder / "programs"
        self._disks = folder / "disks"
        self._programs.mkdir()
        for name, text in {"df": DF, "uname": UNAME, "python3": NOTHING}.items():
            (self._programs / name).write_text(text)
            (self._programs / name).chmod(0o755)
        self._variables: dict[str, str] = {}

    def has(self, **free_mib: int) -> None:
        """Make a folder on a disk of its own for each name, with so many MiB free."""
        lines = []
        for name, mib in free_mib.items():
            place = Path("/dev/shm") if name == "shm" else self.folder / name
            place.mkdir(exist_ok=True)
            lines.append(f"{place} {mib * MIB}\n")
        self._disks.write_text("".join(lines))

    def has_memory(self, mib: int) -> None:
        (self.folder / "meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable: {mib * MIB} kB\n")

    def set(self, **variables: str) -> None:
        self._variables |= variables

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
        return subprocess.run(
            [BASH, "-c", f"set -euo pipefail; source '{ROOT}/scripts/disk_room.sh'; {command}"],
            cwd=self.folder,
            env=inherited
            | {
                "PATH": f"{self._programs}{os.pathsep}{os.environ['PATH']}",
                "FAKE_DISKS": str(self._disks),
                "MEMINFO": str(self.folder / "meminfo"),
                "TMPDIR": str(self.folder / "tmp"),
            }
            | self._variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_enough_room_is_nothing_to_talk_about(machine):
    machine.has(home=9000, tmp=4000)
    answer = machine.run("too_little_room home/venv test")
    assert (answer.returncode, answer.stdout, answer.stderr) == (1, "", "")


def test_a_full_disk_is_told_in_one_sentence_with_the_remedy(machine):
    machine.has(home=3000, tmp=4000)
    answer = machine.run("too_little_room home/new/venv test")
    assert answer.returncode == 0
    assert answer.stdout.count("\n") == 1
    assert "home/new/venv: 8.1 GB are needed, 3.1 GB are free" in answer.stdout
    assert "make test VENV=/other/disk/venv" in answer.stdout


def test_downloads_count_where_they_lie_on_the_same_disk(machine):
    machine.has(home=9000)
    (machine.folder / "home" / "tmp").mkdir()
    machine.set(TMPDIR=str(machine.folder / "home" / "tmp"))
    answer = machine.run("too_little_room home/venv test")
    assert "11.7 GB are needed, downloads included, 9.4 GB are free" in answer.stdout


def test_downloads_on_a_disk_of_their_own_are_counted_there(machine):
    machine.has(home=9000, tmp=1000)
    answer = machine.run("too_little_room home/venv test")
    assert f"downloads in {machine.folder / 'tmp'}: 3.7 GB" in answer.stdout
    assert "TMPDIR=/other/disk make test" in answer.stdout


@pytest.mark.parametrize(
    "index",
    [{"PIP_FIND_LINKS": "/opt/wheels"}, {"PIP_EXTRA_INDEX_URL": "file:///opt/simple"}],
    ids=str,
)
def test_wheels_of_this_computer_are_not_copied(machine, index):
    machine.has(home=9000, tmp=1000)
    machine.set(**index)
    assert machine.run("too_little_room home/venv test").returncode == 1


def test_the_processors_build_of_torch_needs_less(machine):
    machine.has(home=3500, tmp=1000)
    machine.set(PIP_INDEX_URL="https://example.org/whl/cpu")
    assert machine.run("too_little_room home/venv test").returncode == 1


def test_what_is_there_need_not_be_written_again(machine):
    machine.has(home=9000, tmp=4000)
    half = machine.folder / "home" / "venv"
    half.mkdir()
    (half / "torch").write_bytes(b"\1" * (3 << 20))
    answer = machine.run("environment_mib() { echo 5; }; missing_mib home/venv test")
    assert int(answer.stdout) <= 2


def test_a_system_that_says_nothing_does_not_stop_anybody(machine):
    machine.has(elsewhere=1)
    assert machine.run("too_little_room home/venv test").returncode == 1


def test_the_first_folder_with_room_is_taken(machine):
    machine.has(tmp=500, var=20_000, more=30_000)
    answer = machine.run("roomy_folder 11000 missing tmp var more")
    assert answer.stdout == "var\n"


def test_no_folder_with_room_is_no_folder(machine):
    machine.has(tmp=500, var=1000)
    answer = machine.run("roomy_folder 11000 tmp var")
    assert (answer.returncode, answer.stdout) == (1, "")


def test_a_folder_that_runs_no_programs_is_passed_by(machine):
    machine.has(tmp=20_000, var=20_000)
    answer = machine.run('runs_files() { [ "$1" = var ]; }; roomy_folder 11000 tmp var')
    assert answer.stdout == "var\n"


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no memory disk at /dev/shm")
@pytest.mark.parametrize(
    ("disk", "memory", "taken"), [(30, 30, True), (20, 30, False), (30, 20, False)]
)
def test_memory_is_taken_for_a_disk_only_where_there_is_plenty(machine, disk, memory, taken):
    machine.has(shm=disk * 1000)
    machine.has_memory(memory * 1000)
    answer = machine.run("runs_files() { true; }; roomy_folder 10000 /dev/shm")
    assert answer.stdout == ("/dev/shm\n" if taken else "")


def test_programs_can_be_run_where_this_test_keeps_its_files(machine):
    assert machine.run("runs_files .").returncode == 0
    assert machine.run("runs_files missing").returncode == 1
    assert not list(machine.folder.glob("trial.*"))


def test_setting_up_refuses_before_anything_is_made(machine):
    machine.has(home=3000, tmp=4000)
    answer = machine.run(f"cd '{ROOT}'; scripts/setup_env.sh '{machine.folder}/home/venv' demo")
    assert answer.returncode == 1
    assert "6.4 GB are needed" in answer.stderr
    assert "make demo VENV=" in answer.stderr
    assert not (machine.folder / "home" / "venv").exists()


class Checkout:
    """A clone whose programs only tell what they were asked to do."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.folder = machine.folder / "home" / "clone"
        self.told = machine.folder / "told"
        for name in (".ci/run", "scripts/disk_room.sh"):
            (self.folder / name).parent.mkdir(parents=True)
            shutil.copy(ROOT / name, self.folder / name)
        tell = f'#!/bin/sh\necho "$(basename "$0") $*" >>{self.told}\n'
        make = tell + '[ -n "$MAKE_FAILS" ] && exit 3\nexit 0\n'
        for path, text in {
            self.folder / "scripts" / "setup_env.sh": tell,
            machine.folder / "programs" / "make": make,
        }.items():
            path.write_text(text)
            path.chmod(0o755)

    def check(self) -> subprocess.CompletedProcess[str]:
        return self._machine.run(f"'{self.folder}/.ci/run'")


@pytest.fixture
def checkout(machine: Machine) -> Checkout:
    machine.has(home=20_000, tmp=20_000)
    return Checkout(machine)


def test_the_check_stays_where_there_is_room(checkout):
    answer = checkout.check()
    assert (answer.returncode, answer.stdout) == (0, "")
    assert checkout.told.read_text() == "make test VENV=.venv-ci\n"


def test_the_check_goes_where_there_is_room_and_cleans_up(checkout, machine):
    machine.has(home=3000, tmp=20_000)
    answer = checkout.check()
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.count("\n") == 1
    setup, make = checkout.told.read_text().splitlines()
    place = setup.split()[1]
    assert place.startswith(f"{machine.folder}/tmp/napari-sartorius.")
    assert setup == f"setup_env.sh {place} test"
    assert make == f"make test VENV={place}"
    assert not list((machine.folder / "tmp").iterdir())


def test_a_check_elsewhere_that_fails_is_a_failure_and_leaves_nothing(checkout, machine):
    machine.has(home=3000, tmp=20_000)
    machine.set(MAKE_FAILS="yes")
    assert checkout.check().returncode != 0
    assert not list((machine.folder / "tmp").iterdir())


def test_an_environment_that_is_there_is_used(checkout, machine):
    machine.has(home=3000, tmp=20_000)
    (checkout.folder / ".venv-ci").mkdir()
    (checkout.folder / ".venv-ci" / ".installed-test").touch()
    assert checkout.check().stdout == ""
    assert checkout.told.read_text() == "make test VENV=.venv-ci\n"
