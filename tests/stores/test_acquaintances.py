"""The file of who has met whom: kept over restarts, whole after every kill, put aside when it is damaged."""

from __future__ import annotations

import asyncio
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from zlib import crc32

import pytest
from structlog.testing import capture_logs

from penstock.core.acquaintance import BYTES, Acquaintance
from penstock.stores.acquaintances import AcquaintanceFile, Damaged, read, write

T0 = 1_700_000_000.0
HEAD = 72
ALICE = "login:alice@example.com"

Work = Callable[[AcquaintanceFile], Awaitable[None]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "acquaintance.bin"


async def nothing(file: AcquaintanceFile) -> None:
    del file


def using(path: Path, work: Work = nothing, now: float = T0) -> AcquaintanceFile:
    """Open the file as a service does, do the work, close it."""

    async def run() -> AcquaintanceFile:
        file = AcquaintanceFile(path, lambda: now)
        file.start(asyncio.get_running_loop())
        await work(file)
        await file.close()
        return file

    return asyncio.run(run())


def met(known: Acquaintance, n: int, who: str = ALICE) -> None:
    for i in range(n):
        known.meet(known.number(f"{who} r{i}@example.net"))


def knows(known: Acquaintance, n: int, who: str = ALICE) -> int:
    """How many of the first ``n`` recipients the sender knows."""
    return sum(known.knows(known.number(f"{who} r{i}@example.net")) for i in range(n))


async def meet_100(file: AcquaintanceFile) -> None:
    met(file.acquaintance, 100)


def test_acquaintances_outlive_a_restart(path: Path) -> None:
    first = using(path, meet_100, T0)
    second = using(path, now=T0 + 999)
    known = second.acquaintance
    assert knows(known, 100) == 100 and known.met == 100
    assert knows(known, 100, "login:mallory@example.com") == 0
    assert known.key == first.acquaintance.key
    assert (second.saved_at, known.since) == (T0, T0)


def test_it_holds_a_secret_and_only_its_owner_reads_it(path: Path) -> None:
    using(path, meet_100)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(list(path.parent.iterdir())) == 1


def test_two_nodes_have_different_secrets(tmp_path: Path) -> None:
    one, two = using(tmp_path / "1.bin"), using(tmp_path / "2.bin")
    assert one.acquaintance.key != two.acquaintance.key


def test_nothing_is_written_while_nobody_new_is_met(path: Path) -> None:
    using(path)
    assert not path.exists()
    using(path, meet_100)
    before = path.stat()
    using(path, meet_100, T0 + 999)
    assert path.stat().st_ino == before.st_ino and path.stat().st_mtime_ns == before.st_mtime_ns


def test_learning_begins_with_the_first_meeting_not_with_the_start(path: Path) -> None:
    """A service that runs for months before detection is switched on knows nobody then."""
    now = T0

    async def run() -> None:
        nonlocal now
        file = AcquaintanceFile(path, lambda: now)
        now += 100 * 86400
        await file.save()
        met(file.acquaintance, 1)
        now += 300
        await file.close()
        assert file.saved_at == now

    asyncio.run(run())
    assert using(path).acquaintance.since == T0 + 100 * 86400


def test_what_is_met_while_it_is_saved_does_no_harm(path: Path) -> None:
    async def work(file: AcquaintanceFile) -> None:
        met(file.acquaintance, 100)
        saving = asyncio.create_task(file.save())
        meetings = 0
        while not saving.done():
            met(file.acquaintance, 50, f"login:{meetings}@example.com")
            meetings += 1
            await asyncio.sleep(0)
        found, _ = read(path)
        assert knows(found, 100) == 100

    using(path, work)


def test_a_filter_may_fill_up_while_it_is_saved(path: Path) -> None:
    async def work(file: AcquaintanceFile) -> None:
        known = file.acquaintance
        met(known, 100)
        known.met = known.capacity - 1
        saving = asyncio.create_task(file.save())
        await asyncio.sleep(0)
        met(known, 50, "login:bob@example.com")
        assert known.turns == 1
        await saving
        assert knows(read(path)[0], 100) == 100

    file = using(path, work)
    found = using(path).acquaintance
    assert found.met == file.acquaintance.met < 50
    assert knows(found, 100) == 100 and knows(found, 50, "login:bob@example.com") == 50


# --- damage ---------------------------------------------------------------------------------


def sealed(body: bytes) -> bytes:
    """With a proof that fits."""
    return body + crc32(body).to_bytes(4, sys.byteorder)


def flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda whole: whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "only a head": lambda whole: whole[:HEAD],
    "cut in the young filter": lambda whole: whole[: HEAD + 4096],
    "without its last byte": lambda whole: whole[:-1],
    "one byte more": lambda whole: whole + b"\0",
    "zeros": lambda whole: bytes(len(whole)),
    "a bit of the pairs": flipped(18),
    "a bit of the secret": flipped(HEAD - 1),
    "a bit of the young filter": flipped(HEAD + 1000),
    "a bit of the old filter": flipped(HEAD + BYTES - 1),
    "a bit of the proof": flipped(HEAD + BYTES),
    "a foreign file": lambda whole: sealed(b"GIF8" + whole[4:-4]),
    "another version": lambda whole: sealed(whole[:4] + b"\x63\x00" + whole[6:-4]),
    "another machine's order of bytes": lambda whole: sealed(whole[:6] + b"\x03\x03" + whole[8:-4]),
    "filters of another size": lambda whole: sealed(whole[:8] + bytes(8) + whole[16:-4]),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a service has saved."""
    path = tmp_path_factory.mktemp("sound") / "acquaintance.bin"
    using(path, meet_100)
    return path.read_bytes()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_put_aside_and_all_begins_anew(path: Path, sound: bytes, damage: str) -> None:
    path.write_bytes(DAMAGES[damage](sound))
    with pytest.raises(Damaged):
        read(path)
    with capture_logs() as logs:
        file = using(path, meet_100, T0 + 999)
    [said] = [entry for entry in logs if entry["log_level"] == "error"]
    assert said["why"] and "forgotten" in said["event"]
    assert Path(said["kept_as"]).read_bytes() == DAMAGES[damage](sound)
    assert file.acquaintance.since == T0 + 999 and not file.problem
    assert knows(using(path).acquaintance, 100) == 100


def test_what_cannot_be_read_at_all_stops_nothing(path: Path) -> None:
    path.mkdir()
    with capture_logs() as logs:
        using(path, meet_100)
    assert [entry["log_level"] for entry in logs] == ["error"]
    assert knows(using(path).acquaintance, 100) == 100


def test_an_empty_folder_is_no_damage(path: Path) -> None:
    with capture_logs() as logs:
        file = using(path)
    assert not logs and not file.saved_at and file.acquaintance.since == T0


# --- full disks, kills ----------------------------------------------------------------------


@pytest.fixture
def tight() -> Iterator[Callable[[int], None]]:
    """Sets how long files may become; the kernel refuses more with EFBIG, in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_once_keeps_the_old_file_and_is_tried_again(
    path: Path, tight: Callable[[int], None]
) -> None:
    using(path, meet_100)

    async def work(file: AcquaintanceFile) -> None:
        met(file.acquaintance, 10, "login:bob@example.com")
        tight(BYTES // 3)
        await file.save()
        await file.save()
        tight(resource.RLIM_INFINITY)
        assert "not saved" in file.problem and file.saved_at == T0
        assert knows(read(path)[0], 100) == 100
        assert [found.name for found in path.parent.iterdir()] == [path.name]
        await file.save()
        assert not file.problem and file.saved_at == T0 + 999

    with capture_logs() as logs:
        using(path, work, T0 + 999)
    assert [entry["log_level"] for entry in logs] == ["error", "info"]
    assert knows(using(path).acquaintance, 10, "login:bob@example.com") == 10


def test_what_a_kill_left_of_a_save_is_written_over(path: Path, sound: bytes) -> None:
    path.write_bytes(sound)
    path.with_suffix(".part").write_bytes(sound[:100_000])

    async def work(file: AcquaintanceFile) -> None:
        assert knows(file.acquaintance, 100) == 100
        met(file.acquaintance, 10, "login:bob@example.com")

    using(path, work)
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    assert knows(using(path).acquaintance, 10, "login:bob@example.com") == 10


ENDLESS = """
import sys
from pathlib import Path
from penstock.core.acquaintance import Acquaintance
from penstock.stores.acquaintances import write
known = Acquaintance(b"k" * 32)
for turn in range(1_000_000):
    known.meet(known.number(f"login:alice@example.com r{turn}@example.net"))
    write(Path(sys.argv[1]), known, 1.7e9)
    print(turn, flush=True)
"""


@pytest.mark.parametrize("saves", [1, 2, 5])
def test_a_kill_at_any_moment_leaves_a_whole_file(path: Path, saves: int) -> None:
    """The process is somewhere in its next save when it is killed."""
    with subprocess.Popen([sys.executable, "-c", ENDLESS, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(saves):
            assert process.stdout.readline()
        process.kill()
    found, saved_at = read(path)
    assert found.met >= saves and knows(found, saves) == saves and saved_at == T0


def test_a_lenient_umask_changes_nothing(path: Path) -> None:
    """Whatever the umask of the service lets others read."""
    before = os.umask(0)
    try:
        write(path, Acquaintance(b"k" * 32), T0)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
