"""Spool files: made, found, removed, and swept after a crash."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from drum_litestar.http.spool import PREFIX, SpoolDirectory, SpoolFile


def test_a_file_is_written_read_and_discarded(tmp_path: Path) -> None:
    directory = SpoolDirectory(str(tmp_path))
    assert list(tmp_path.iterdir()) == []  # created with the first write
    file = SpoolFile(directory)
    file.write([b"a", b"b"])
    file.write([b"c"])
    path = Path(file.finish())
    assert path.read_bytes() == b"abc"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    file.discard()
    file.discard()
    assert not path.exists()
    directory.close()
    directory.close()
    assert list(tmp_path.iterdir()) == []


def test_writes_after_discard_are_ignored(tmp_path: Path) -> None:
    directory = SpoolDirectory(str(tmp_path))
    file = SpoolFile(directory)
    file.discard()
    file.write([b"late"])
    with pytest.raises(OSError):
        file.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_was_cleaned_away_is_made_again(tmp_path: Path) -> None:
    directory = SpoolDirectory(str(tmp_path))
    lost = SpoolFile(directory)
    lost.write([b"a"])
    for path in tmp_path.iterdir():
        shutil.rmtree(path)
    file = SpoolFile(directory)
    file.write([b"b"])
    assert Path(file.finish()).read_bytes() == b"b"
    lost.discard()
    directory.close()
    assert list(tmp_path.iterdir()) == []


def test_many_threads_share_one_directory(tmp_path: Path) -> None:
    directory = SpoolDirectory(str(tmp_path))
    files = [SpoolFile(directory) for _ in range(16)]
    threads = [threading.Thread(target=file.write, args=([b"x"],)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({file.finish() for file in files}) == 16
    assert len(list(tmp_path.iterdir())) == 1
    directory.close()


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs root to give files away")
def test_files_can_belong_to_the_workers_user(tmp_path: Path) -> None:
    directory = SpoolDirectory(str(tmp_path), owner=65534)
    file = SpoolFile(directory)
    file.write([b"x"])
    path = Path(file.finish())
    assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (65534, 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o711
    directory.close()


IN_PIECES = """
import sys
from drum_litestar.http.spool import SpoolDirectory, SpoolFile
directory = SpoolDirectory(sys.argv[1], owner=65534)
file = SpoolFile(directory)
file.write([b"x"])
file.finish([b"y"])
directory.close()
"""


@pytest.mark.skipif(
    os.name != "posix" or os.getuid() != 0 or shutil.which("setpriv") is None, reason="needs root to give files away"
)
def test_a_file_is_given_away_when_it_is_complete(tmp_path: Path) -> None:
    """A container may keep only the capabilities to change owners and users."""
    done = subprocess.run(
        [
            "setpriv",
            "--bounding-set=-dac_override",
            "--inh-caps=-dac_override",
            sys.executable,
            "-c",
            IN_PIECES,
            tmp_path,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)


CRASHER = """
import sys
from drum_litestar.http.spool import SpoolDirectory, SpoolFile
file = SpoolFile(SpoolDirectory(sys.argv[1]))
file.write([b"x" * 1000])
print(file.finish(), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.name != "posix", reason="locks are POSIX ones")
def test_the_sweep_removes_directories_of_crashed_processes_only(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CRASHER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        path = Path(process.stdout.readline().strip())
        own = SpoolDirectory(str(tmp_path))
        own.sweep()
        assert path.exists()  # its process is alive
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        (tmp_path / f"{PREFIX}foreign").mkdir()  # no lock inside: not known to be abandoned
        own.sweep()
    assert not path.parent.exists()
    assert [entry.name for entry in tmp_path.iterdir()] == [f"{PREFIX}foreign"]


def test_the_sweep_of_a_missing_parent_is_harmless(tmp_path: Path) -> None:
    SpoolDirectory(str(tmp_path / "gone")).sweep()
