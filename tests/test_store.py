"""Fits on disk: exactly what was put in comes out, or nothing; and what is said where it is nothing."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from processes import Child, until

from hbm_stan import sealed
from hbm_stan.errors import StorageError
from hbm_stan.files import write_beside
from hbm_stan.named import NamedSet, NamedTree
from hbm_stan.store import FitRecord, FitStore

LABELS = [
    "Zoë",
    "a\nb",
    'the "best"',
    "it's",
    "[x], (y)",
    "日本",
    "🙂",
    "tab\t",
    " lead",
    "-1",
    "a,b;c",
    "nul-free \\0",
]
PARTS: dict[str, Any] = {
    "program": "p",
    "data": {"groups": LABELS, "J": 12, "y": [0.1 * i for i in range(12)], "x": [[1.0, 2.0], [3.0, 4.0]]},
    "priors": {"mu": "normal(0, 5)", "tau": "half_cauchy(5)"},
    "prior values": {"prior_mu": [0.0, 5.0], "prior_tau": [5.0, 1.0]},
    "settings": {"chains": 2, "seed": 1, "adapt_delta": 0.9},
    "engine": "spy 1.0",
}
KEY = "0123456789abcdef" * 4


def tree(seed: int = 1) -> xr.DataTree:
    rng = np.random.default_rng(seed)
    index = {"chain": np.arange(2), "draw": np.arange(10)}
    special = rng.normal(size=(2, 10))
    special[0, :5] = [np.nan, np.inf, -np.inf, -0.0, 5e-324]
    posterior = xr.Dataset(
        {"mu": (("chain", "draw"), special), "theta": (("chain", "draw", "group"), rng.normal(size=(2, 10, 12)))},
        {"group": LABELS, **index},
    )
    stats = xr.Dataset(
        {
            "diverging": (("chain", "draw"), rng.random((2, 10)) < 0.5),
            "tree_depth": (("chain", "draw"), rng.integers(1, 9, (2, 10))),
        },
        index,
    )
    return xr.DataTree.from_dict(
        {"posterior": posterior, "sample_stats": stats, "constant_data": xr.Dataset(coords={"group": LABELS})}
    )


def stored_fit(key: str = KEY, seed: int = 1, **parts: Any) -> FitRecord:
    return FitRecord(named=NamedTree.of(tree(seed)), parts={**PARTS, **parts}, key=key, seconds=1.25)


@pytest.fixture
def store(tmp_path: Path) -> FitStore:
    folder = FitStore(tmp_path / "an analysis [1]" / "fits")
    write(folder, stored_fit())
    return folder


def write(store: FitStore, fit: FitRecord, variant: str = "partial") -> None:
    with store.lock(variant, lambda _text: None):
        store.write(variant, fit)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".lock")


def the_file(store: FitStore) -> Path:
    return store.path("partial", KEY)


# What is kept


def test_what_was_kept_comes_back_exactly(store: FitStore) -> None:
    back = store.read("partial", KEY)
    assert back is not None
    assert (back.key, back.seconds, back.parts) == (KEY, 1.25, PARTS)
    expected = tree()
    read = back.named.as_xarray()
    xr.testing.assert_identical(read, expected)
    for node in expected.subtree:
        for name, variable in node.variables.items():
            got = read[node.path].variables[name]
            assert got.dtype == variable.dtype, name
            assert got.values.tobytes() == variable.values.tobytes(), name  # NaN, -0.0 and the smallest number too
    assert [str(v) for v in read["posterior"].group.values] == LABELS


def test_it_is_a_netcdf_file_that_xarray_opens(store: FitStore) -> None:
    with xr.open_datatree(the_file(store)) as opened:
        assert set(opened.children) == {"posterior", "sample_stats", "constant_data"}
        xr.testing.assert_identical(opened["posterior"].to_dataset(), tree()["posterior"].to_dataset())
    with xr.open_dataset(the_file(store), group="posterior") as opened:
        assert opened.theta.sel(group="🙂").shape == (2, 10)


def test_large_data_are_kept(tmp_path: Path) -> None:
    store = FitStore(tmp_path)
    values = list(np.random.default_rng(1).normal(size=30_000))
    write(store, stored_fit(data={"y": values}))
    back = store.read("partial", KEY)
    assert back is not None
    assert back.parts["data"]["y"] == values


def peak_of(work: Callable[[], object]) -> int:
    """The largest number of bytes that work holds beyond what is there."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_no_second_copy_of_the_draws_is_made_by_writing_and_reading(tmp_path: Path) -> None:
    size = 8 * 10**6
    variables = {name: (("chain", "draw"), np.ones((4, size // 32))) for name in "abcdef"}
    large = FitRecord(named=NamedTree({"posterior": NamedSet(variables)}), parts=PARTS, key=KEY, seconds=1.0)
    store = FitStore(tmp_path)
    # At most one variable at a time while it is written; what is read, and one variable.
    assert peak_of(lambda: write(store, large)) < 1.5 * size
    assert peak_of(lambda: store.read("partial", KEY)) < 7.5 * size

    def in_memory(tree: xr.DataTree, path: Path) -> None:
        buffer = io.BytesIO()
        tree.to_netcdf(buffer, engine="h5netcdf")

    # The fault: the file is made in memory.
    assert peak_of(lambda: in_memory(large.named.as_xarray(), tmp_path)) > 5 * size


def test_writing_and_reading_say_nothing(tmp_path: Path) -> None:
    code = """
import sys
from test_store import *
store = FitStore(Path(sys.argv[1]))
write(store, stored_fit())
assert store.read("partial", KEY)
"""
    assert Child(["-W", "error", "-c", code, str(tmp_path)]).end() == (0, "", "")


def test_a_file_is_readable_as_others_are(store: FitStore) -> None:
    usual = store.folder / "usual"
    usual.touch()
    assert the_file(store).stat().st_mode == usual.stat().st_mode


def test_another_key_or_variant_is_not_read(store: FitStore) -> None:
    assert store.read("partial", KEY[::-1]) is None
    assert store.read("partial", KEY[:16] + "f" * 48) is None
    assert store.read("no", KEY) is None
    assert store.why("no", KEY, PARTS) == "no earlier draws"


def test_four_are_kept_and_the_last_used_longest(tmp_path: Path) -> None:
    store = FitStore(tmp_path)
    keys = [f"{i:x}" * 64 for i in range(7)]
    for age, key in enumerate(keys[:4]):
        write(store, stored_fit(key))
        os.utime(store.path("partial", key), (age, age))
    write(store, stored_fit(keys[0]), "partial_other")
    assert store.read("partial", keys[0]) is not None
    write(store, stored_fit(keys[4]))
    write(store, stored_fit(keys[5]))
    left = [key for key in keys if store.has("partial", key)]
    assert left == [keys[0], keys[3], keys[4], keys[5]]
    assert store.has("partial_other", keys[0])


def test_stores_of_the_user_are_apart_by_family_and_dataset(cache: Path) -> None:
    a, b = FitStore.for_user("normal_means", "schools"), FitStore.for_user("normal_means", "../my data")
    assert a.folder == cache / "fits" / "normal_means" / "schools"
    assert b.folder == cache / "fits" / "normal_means" / "___my_data"


# Damage


def spoil(store: FitStore, content: bytes) -> None:
    the_file(store).write_bytes(content)


def refused(store: FitStore) -> str:
    """Reading gives nothing; the reason."""
    assert store.read("partial", KEY) is None
    return store.why("partial", KEY, PARTS)


def test_a_truncated_file_is_not_read(store: FitStore) -> None:
    whole = the_file(store).read_bytes()
    for length in [0, 1, 100, len(whole) // 2, len(whole) - 200, *range(len(whole) - 125, len(whole))]:
        spoil(store, whole[:length])
        assert "is damaged" in refused(store)


def test_a_flipped_bit_anywhere_is_noticed(store: FitStore) -> None:
    whole = the_file(store).read_bytes()
    rng = np.random.default_rng(1)
    for at in [*range(64), *rng.integers(0, len(whole), 200), *range(len(whole) - 100, len(whole))]:
        changed = bytearray(whole)
        changed[at] ^= 1 << int(rng.integers(8))
        spoil(store, bytes(changed))
        assert "is damaged" in refused(store) or "another version" in refused(store)
    spoil(store, whole)
    assert store.read("partial", KEY) is not None


def test_bytes_after_the_end_are_noticed(store: FitStore) -> None:
    spoil(store, the_file(store).read_bytes() + b"x")
    assert "is damaged" in refused(store)


def test_a_foreign_file_is_not_read(store: FitStore, tmp_path: Path) -> None:
    xr.Dataset({"theta": ("x", [1.0])}).to_netcdf(the_file(store), engine="h5netcdf")
    assert refused(store) == f"{the_file(store).name} is damaged or was not written by hbm_stan"
    spoil(store, b"not even NetCDF")
    assert "was not written by hbm_stan" in refused(store)
    the_file(store).unlink()
    the_file(store).mkdir()
    assert "cannot be read (Is a directory)" in refused(store)


def test_an_older_format_is_not_read(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hbm_stan.sealed._FORMAT", 3)
    assert refused(store) == f"{the_file(store).name} was written by another version of hbm_stan, in another format"
    write(store, stored_fit())
    assert store.read("partial", KEY) is not None


def test_a_whole_file_that_the_libraries_do_not_understand(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "read_tree", lambda _file: 1 / 0)
    assert "cannot be read by this version of xarray" in refused(store)


def test_after_damage_the_fit_is_made_anew(store: FitStore) -> None:
    spoil(store, b"")
    write(store, stored_fit(seed=2))
    back = store.read("partial", KEY)
    assert back is not None
    xr.testing.assert_identical(back.named.as_xarray(), tree(2))


# Why


def changed(name: str, key: str, value: Any) -> dict[str, Any]:
    return {**PARTS, name: {**PARTS[name], key: value}}


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        ({**PARTS, "program": "q"}, "the Stan program or a file that it includes changed"),
        (changed("data", "y", [0.1 * i if i != 2 else 9.5 for i in range(12)]),
         f"the data changed (y[3] from {0.1 * 2} to 9.5)"),
        (changed("data", "y", [0.2 * i for i in range(12)]), "the data changed (11 of 12 values of y)"),
        (changed("data", "y", [1.0]), "the data changed (y)"),
        (changed("data", "x", [[1.0, 2.0], [3.0, 5.0]]), "the data changed (1 of 2 values of x)"),
        (changed("data", "J", 13), "the data changed (J from 12 to 13)"),
        (changed("data", "new", 1), "the data changed (new from None to 1)"),
        (changed("data", "groups", ["Zoé", *LABELS[1:]]), "the data changed (groups[1] from Zoë to Zoé)"),
        (changed("priors", "tau", "half_normal(5)"),
         "the prior of tau changed from half_cauchy(5) to half_normal(5)"),
        (changed("prior values", "prior_mu", (0.0, 5.0000001)),
         "the priors changed (prior_mu[2] from 5.0 to 5.0000001)"),
        (changed("settings", "seed", 2), "seed changed from 1 to 2"),
        (changed("settings", "adapt_delta", 0.95), "adapt_delta changed from 0.9 to 0.95"),
        ({**PARTS, "engine": "spy 1.1"}, "the engine changed from spy 1.0 to spy 1.1"),
        ({**changed("settings", "seed", 2), "engine": "other"},
         "seed changed from 1 to 2; the engine changed from spy 1.0 to other"),
    ],
)  # fmt: skip
def test_the_reason_is_said(store: FitStore, now: dict[str, Any], reason: str) -> None:
    assert store.why("partial", "f" * 64, now) == reason


def test_data_that_are_gone_are_a_reason(store: FitStore) -> None:
    data = {k: v for k, v in PARTS["data"].items() if k != "x"}
    assert store.why("partial", "f" * 64, {**PARTS, "data": data}) == "the data changed (x)"


def test_the_reason_compares_with_the_fit_that_was_used_last(store: FitStore) -> None:
    other = changed("settings", "seed", 2)
    write(store, FitRecord(named=NamedTree.of(tree()), parts=other, key="e" * 64, seconds=1.0))
    for path, age in ((the_file(store), 1), (store.path("partial", "e" * 64), 2)):
        os.utime(path, (age, age))
    now = changed("settings", "seed", 3)
    assert store.why("partial", "f" * 64, now) == "seed changed from 2 to 3"
    assert store.read("partial", KEY) is not None
    assert store.why("partial", "f" * 64, now) == "seed changed from 1 to 3"


# Two at once, and kills

HOLD = """
import sys
import time
from test_store import *
store = FitStore(Path(sys.argv[1]))
with store.lock("partial", print):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def test_a_second_process_waits_and_says_so(tmp_path: Path) -> None:
    first = Child(["-c", HOLD, str(tmp_path), "60"])
    assert first.process.stdout
    assert first.process.stdout.readline() == "held\n"
    second = Child(["-u", "-c", HOLD, str(tmp_path), "0"])
    assert second.process.stdout
    assert second.process.stdout.readline() == "partial: another process is sampling it; waiting\n"
    first.kill()  # the lock of a killed process is nobody's
    first.end()
    assert second.end()[:2] == (0, "held\n")


def test_threads_wait_for_each_other_too(store: FitStore) -> None:
    order: list[str] = []

    def other() -> None:
        with store.lock("partial", order.append):
            order.append("second")

    with store.lock("partial", order.append):
        thread = threading.Thread(target=other)
        thread.start()
        until(lambda: order)
        order.append("first")
    thread.join()
    assert order == ["partial: another process is sampling it; waiting", "first", "second"]


KILLED = """
import sys
import os
from hbm_stan import netcdf
from test_store import *
store = FitStore(Path(sys.argv[1]))
def die(*_, **__): os.kill(os.getpid(), 9)
if sys.argv[2] == "before the rename":
    os.replace = die
elif sys.argv[2] == "half way through the groups":
    netcdf._write_attributes = die
else:
    os.fsync = die
write(store, stored_fit(sys.argv[3], 2))
"""


@pytest.mark.parametrize(
    ("when", "key"),
    [("half way through the groups", KEY), ("within the write", "f" * 64), ("before the rename", KEY)],
)
def test_kill_9_leaves_the_old_fit_whole(store: FitStore, when: str, key: str) -> None:
    assert Child(["-c", KILLED, str(store.folder), when, key]).end()[0] == -9
    assert store.read("partial", KEY) is not None
    assert store.read("partial", "f" * 64) is None
    write(store, stored_fit("e" * 64))
    assert names(store.folder) == sorted([the_file(store).name, store.path("partial", "e" * 64).name])


def test_the_file_in_the_making_of_a_live_process_is_left_alone(store: FitStore) -> None:
    # It belongs to whoever holds the variant's lock; a writer of another variant does not touch it.
    making = store.folder / ".partial.writing"
    making.write_text("half")
    write(store, stored_fit(), "partial_other")
    assert making.read_text() == "half"


def test_many_writers_and_readers_see_whole_fits_only(tmp_path: Path) -> None:
    code = """
import sys
from test_store import *
store, me = FitStore(Path(sys.argv[1])), int(sys.argv[2])
for i in range(10):
    write(store, stored_fit(seed=me))
    back = store.read("partial", KEY)
    assert back is not None
    assert any(back.named.as_xarray().identical(tree(seed)) for seed in (1, 2))
"""
    children = [Child(["-c", code, str(tmp_path), str(seed)]) for seed in (1, 2)]
    assert [child.end() for child in children] == [(0, "", "")] * 2
    assert names(tmp_path) == [FitStore(tmp_path).path("partial", KEY).name]


# Places where nothing can be written


def test_a_full_disk_is_said_and_harms_nothing(tiny_disk: Path) -> None:
    # In a child: HDF5 itself, where it writes to a full disk, ends the process with a segmentation fault.
    code = """
import sys
from test_store import *
store = FitStore(Path(sys.argv[1]))
write(store, stored_fit())
ballast = store.folder / "ballast"
for size in (4096, 1024, 1):
    try:
        with ballast.open("ab") as file:
            while True:
                file.write(bytes(size))
                file.flush()
    except OSError:
        pass
for _ in range(3):
    for key in (KEY, "f" * 64):
        try:
            write(store, stored_fit(key, 2))
        except StorageError as error:
            print(error)
back = store.read("partial", KEY)
assert back.named.as_xarray().identical(tree())
assert names(store.folder) == ["ballast", store.path("partial", KEY).name]
"""
    code, out, err = Child(["-c", code, str(tiny_disk)]).end()
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 6
    assert all("draws cannot be kept there (No space left on device)" in line for line in out.splitlines())


def test_a_disk_that_fills_up_while_a_fit_is_written_is_said_wherever_it_ends(tiny_disk: Path) -> None:
    code = """
import sys
from test_store import *
store = FitStore(Path(sys.argv[1]))
write(store, stored_fit())
size, ends = the_file(store).stat().st_size, 0
for left in range(0, size, 4096):
    with (store.folder / "ballast").open("wb") as file:
        file.write(bytes(max(0, 65536 - size - left - 12288)))
    while True:
        try:
            with (store.folder / "more").open("ab", buffering=0) as file:
                if os.statvfs(store.folder).f_bavail * 4096 <= left:
                    break
                file.write(bytes(4096))
        except OSError:
            break
    try:
        write(store, stored_fit("f" * 64, 2))
    except StorageError as error:
        assert "No space left on device" in str(error)
        ends += 1
    (store.folder / "more").unlink()
    assert store.read("partial", "f" * 64) is None
    assert not (store.folder / ".partial.writing").exists()
    assert store.read("partial", KEY).named.as_xarray().identical(tree())
print(ends, len(range(0, size, 4096)))
"""
    code, out, err = Child(["-c", code, str(tiny_disk)]).end()
    assert (code, err) == (0, "")
    ends, tried = map(int, out.split())
    assert ends == tried > 3


def test_ctrl_c_while_hdf5_writes_comes_when_the_file_is_whole(
    store: FitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pressed(sealed._Draft):
        """Ctrl-C is pressed in every write."""

        def write(self, content: Any) -> int:
            signal.raise_signal(signal.SIGINT)
            return super().write(content)

    monkeypatch.setattr(sealed, "_Draft", Pressed)
    with pytest.raises(KeyboardInterrupt):
        write(store, stored_fit("f" * 64, 2))
    assert names(store.folder) == [the_file(store).name]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.fixture
def read_only(store: FitStore) -> Iterator[FitStore]:
    """The store on a file system that cannot be written; needs the right to mount."""
    folder = str(store.folder)
    if subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    yield store
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_read_only_store_is_read_and_not_written(read_only: FitStore) -> None:
    assert read_only.read("partial", KEY) is not None
    with pytest.raises(StorageError, match="Read-only file system"):
        write(read_only, stored_fit("f" * 64))


def test_a_file_in_the_place_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fits").write_text("")
    with pytest.raises(StorageError, match=r"File exists|Not a directory"):
        write(FitStore(tmp_path / "fits"), stored_fit())
    assert FitStore(tmp_path / "fits").read("partial", KEY) is None
    monkeypatch.setenv("HBM_CACHE", str(tmp_path / "fits"))
    with pytest.raises(StorageError):
        FitStore.for_user("normal_means", "data")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_an_error_when_the_file_is_made_durable(store: FitStore, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match=os.strerror(code)):
        write(store, stored_fit(seed=2))
    back = store.read("partial", KEY)
    assert back is not None
    xr.testing.assert_identical(back.named.as_xarray(), tree())
    assert names(store.folder) == [the_file(store).name]


# The report's files


def test_a_report_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new [folder]" / "report [1].pdf"
    write_beside(path, b"one")
    write_beside(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(path.parent) == [path.name]
    usual = tmp_path / "usual"
    usual.touch()
    assert path.stat().st_mode == usual.stat().st_mode


def test_a_full_disk_keeps_the_old_report(tiny_disk: Path) -> None:
    path = tiny_disk / "report.pdf"
    write_beside(path, b"old")
    with pytest.raises(StorageError, match=r"report.pdf cannot be written \(No space left on device\)"):
        write_beside(path, bytes(200_000))
    assert path.read_bytes() == b"old"
    assert names(tiny_disk) == ["report.pdf"]


def test_a_folder_in_the_place_of_the_report(tmp_path: Path) -> None:
    (tmp_path / "report.pdf").mkdir()
    with pytest.raises(StorageError, match="Is a directory"):
        write_beside(tmp_path / "report.pdf", b"x")
    assert names(tmp_path) == ["report.pdf"]


def test_what_a_killed_report_left_is_cleaned_later(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    code = """
import os, sys
from pathlib import Path
from hbm_stan.files import write_beside
os.replace = lambda *_: os.kill(os.getpid(), 9)
write_beside(Path(sys.argv[1]), b"half")
"""
    write_beside(path, b"old")
    assert Child(["-c", code, str(path)]).end()[0] == -9
    assert path.read_bytes() == b"old"
    (left,) = [p for p in tmp_path.iterdir() if p != path]
    write_beside(path, b"new")
    assert left.exists()  # so young that another process may be at it
    os.utime(left, (1, 1))
    write_beside(path, b"newer")
    assert names(tmp_path) == ["report.pdf"]
