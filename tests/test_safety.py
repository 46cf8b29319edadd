"""Nothing runs that should not: modules of the current folder, markup of a family, programs that nobody named."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typst
from pypdf import PdfReader
from typer.testing import CliRunner

import hbm_stan
from hbm_stan import memory, tree
from hbm_stan.analysis.read import Analysis, read_analysis
from hbm_stan.attempts import fit_variants
from hbm_stan.cli.app import app
from hbm_stan.data import Dataset, load
from hbm_stan.engines import Sampling, install
from hbm_stan.engines.python import PYTHON
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import DataError, HbmError, ModelError, StorageError, TypesettingError
from hbm_stan.families import families
from hbm_stan.families import own as own_families
from hbm_stan.families.own import read_family
from hbm_stan.files import refuse_place, write_beside
from hbm_stan.fit import prepare_table
from hbm_stan.notation import refuse_code
from hbm_stan.reference import read_reference
from hbm_stan.report import build, pages, typeset
from hbm_stan.report.typeset import check_mathematics, compile_pdf
from hbm_stan.resources import cache_folder
from hbm_stan.skeleton import new_family
from hbm_stan.store import FitStore

PACKAGE = Path(hbm_stan.__file__).parent
HBM = Path(sys.executable).with_name("hbm")
# Modules of the standard library and of ours that a file of the same name in the current folder would hide.
HIDDEN = ("json", "typing", "numpy", "pickle", "socket", "pip", "cmdstanpy", "copyreg", "stanli", "filelock")


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder whose Python files leave a mark when they are imported."""
    for name in HIDDEN:
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name + ' '!r})\n")
    return tmp_path


def ran(folder: Path) -> str:
    mark = folder / "ran"
    return mark.read_text() if mark.exists() else ""


def run_in(folder: Path, command: Sequence[str | Path], code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


def test_such_a_folder_is_seen_by_a_python_that_is_started_carelessly(hostile: Path) -> None:
    run_in(hostile, [sys.executable, "-c", "import json"])
    assert ran(hostile) == "json "


def test_workers_of_a_calibration_take_nothing_from_the_current_folder(hostile: Path) -> None:
    # As a user has it who works in a notebook: the first entry of sys.path is empty, and all is loaded before.
    program = (
        "import sys; sys.path.remove(''); from pathlib import Path; from hbm_stan.calibrate import calibrate; "
        "from hbm_stan.engines import Sampling; few = Sampling(chains=1, warmup=150, draws=99); "
        "import stanli, filelock, arviz_stats.base, scipy.stats; sys.path.insert(0, ''); "
        "calibrate('normal_means', 'complete_pooling', replications=50, sampling=few, workers=2, folder=Path('kept'))"
    )
    run_in(hostile, [sys.executable, "-c", program])
    assert ran(hostile) == ""


@pytest.mark.parametrize("command", [[str(HBM)], [sys.executable, "-m", "hbm_stan"]], ids=["hbm", "python -m"])
def test_a_command_takes_nothing_from_the_current_folder(hostile: Path, command: list[str]) -> None:
    run_in(hostile, [*command, "doctor"])
    assert ran(hostile) == ""


def test_the_installer_asks_without_the_current_folder(hostile: Path) -> None:
    # What it starts stands in a folder of its own; even that folder is not looked into.
    program = f"import sys; exec({install._NEWEST!r}.split('socket.setdefaulttimeout')[0]); print(socket.__file__)"
    done = run_in(hostile, [*PYTHON, "-c", program])
    assert ran(hostile) == ""
    assert str(hostile) not in done.stdout


def careless(source: str) -> bool:
    """Whether a module starts a Python by itself, without what engines/python.py has to say about it."""
    return bool(re.search(r"sys\.executable,|\[sys\.executable\]|import multiprocessing|ProcessPoolExecutor", source))


def test_a_python_is_started_in_one_way_only() -> None:
    paths = [p.relative_to(PACKAGE) for p in PACKAGE.rglob("*.py") if careless(p.read_text(encoding="utf-8"))]
    assert paths == [Path("engines/python.py")]
    assert careless('subprocess.run([sys.executable, "-c", code])')


# Mathematics of a family


# Each reads a file, runs code, or would where Typst takes it for what it looks like to us.
CODE = {
    "hash": '#read("secret.txt")',
    "hash in a text": '"#read"',
    "hash behind a comment": '/* " */ #read("secret.txt") /* " */',
    "hash escaped": r"\#read(x)",
    "end of the mathematics": 'x $ #read("secret.txt") $ y',
    "std": 'std.read("secret.txt")',
    "std below a letter": 'x_std.read("secret.txt")',
    "std behind a digit of its own": '²std.read("secret.txt")',
    "std behind an escape": r'\\std.read("secret.txt")',
    "std as an argument": 'mat(delim: std.read("secret.txt"), 1)',
    "std behind a text": '"a"std.read("secret.txt")',
    "std behind an escaped quote": r'\" std.read("secret.txt") \"',
    "std with an invisible letter": 's\u200btd.read("secret.txt")',
    "std with a control": 's\u0007td.read("secret.txt")',
    "import": '#import "template.typ": *',
    "include": '#include "template.typ"',
    "image": '#image("secret.svg")',
    "plugin": 'std.plugin("secret.wasm")',
    "eval": 'std.eval("1 + 1")',
    "a loop without end": "#while true {}",
    "comment": "x // y",
    "raw": "`x`",
    "deep": "(" * 400 + "x" + ")" * 400,
}
PLAIN = (
    'y_i tilde.op "Normal"(mu, sigma^2)', r"theta_j = mu + tau epsilon_j \ epsilon_j tilde 1", 'upright("std")',
    r'"a \" std"', "cases(x &\"if\" y > 0, 0)", "mat(delim: \"[\", 1, 2; 3, 4)", "sum_(j=1)^J x_j / 2", r"\{ x \}",
    "arrow.r.long", "x @ y", "“quoted”", "",
)  # fmt: skip


@pytest.mark.parametrize("line", CODE.values(), ids=CODE)
def test_code_in_mathematics_is_refused(line: str) -> None:
    with pytest.raises(ModelError, match=r"^family\.toml: likelihood: "):
        refuse_code(["x", line], "family.toml: likelihood")


def test_mathematics_is_taken() -> None:
    refuse_code(PLAIN, "family.toml: likelihood")
    for family in families().values():
        maths = [line for v in family.programs.variants for line in v.math]
        refuse_code([*family.words.likelihood, *maths], family.name)


@pytest.mark.parametrize("line", [CODE["hash"], CODE["std below a letter"], CODE["std behind a digit of its own"]])
def test_such_a_line_would_read_a_file(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.txt").write_text("SECRETWORDS")
    template = tmp_path / "t.typ"
    template.write_text('#let view = json(bytes(sys.inputs.view))\n#math.equation(eval(view.math, mode: "math"))')
    with pytest.raises(ModelError, match="The report: "):
        compile_pdf({"math": line}, {}, template)
    monkeypatch.setattr(typeset, "refuse_code", lambda lines, where: None)
    pdf = compile_pdf({"math": line}, {}, template)
    assert "SECRETWORDS" in PdfReader(io.BytesIO(pdf)).pages[0].extract_text()


@pytest.mark.parametrize("kind", [{"kind": "equations", "lines": ["x", "#panic()"]}, {"lines": ["#panic()"]}])
def test_every_way_of_mathematics_into_the_template_is_looked_at(kind: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="panic"):
        compile_pdf({"body": [{"rows": [[[kind]]]}]}, {})


@pytest.mark.parametrize("key", ["likelihood", "variants.complete.math"])
def test_a_family_toml_with_code_is_refused_and_the_key_is_named(tmp_path: Path, key: str) -> None:
    text = f"{key} = ['x', '#read(\"template.typ\")']\n" + SAMPLE_TOML
    (tmp_path / "family.toml").write_text(text)
    with pytest.raises(ModelError, match=rf"family\.toml: {re.escape(key)}: .*#read.*# is not allowed"):
        read_family(tmp_path)


def test_mathematics_that_typst_cannot_set_is_named_before_any_work() -> None:
    wrong = families()["gamma_poisson"].with_fields(likelihood=("x", "nothing_known(y)"))
    with pytest.raises(ModelError, match=r"likelihood: 'nothing_known\(y\)': .*unknown variable"):
        check_mathematics(wrong)


SAMPLE_TOML = """
outcome = "estimate"
roles.group = { kind = "label" }
roles.estimate = { kind = "number" }
variants.complete.pooling = "complete"
data = { y = "role:estimate" }
"""


# Programs of the user's own


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A family of the user's own with an analysis, whose program leaves a mark when it is run."""
    folder = new_family("mine", tmp_path)
    script = folder / "family.py"
    # The program looks whether it has been named by the time that it runs.
    script.write_text(script.read_text() + "\nimport sys\nprint('RUNS', file=sys.stderr)\n")
    return folder


COMMANDS = {
    "families": ["families", "{}"],
    "new": ["new", "{}/data.csv", "--family", "{}", "--to", "{}/again"],
    "report": ["report", "{}"], "fit": ["fit", "{}"], "check": ["check", "{}"], "compare": ["compare", "{}"],
    "sensitivity": ["sensitivity", "{}"], "reference": ["reference", "{}"], "regress": ["regress", "{}"],
    "verify": ["verify", "{}"], "calibrate": ["calibrate", "{}"],
}  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_program_is_named_before_it_is_run(words: list[str], own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class StoppedError(HbmError):
        """In the place of what comes after the family was read."""

    def stop(*_: Any, **__: Any) -> None:
        raise StoppedError("stopped behind the family")

    monkeypatch.setattr(own_families, "_check_programs", stop)
    message = CliRunner().invoke(app, [w.format(own) for w in words]).stderr
    assert message.startswith(f"Running the program {own}/family.py\nRUNS\n")
    quiet = CliRunner().invoke(app, [*(w.format(own) for w in words), "--quiet"]).stderr
    assert quiet.startswith("RUNS\n")


def test_python_logs_the_name_of_a_program(own: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="hbm_stan.programs"):
        read_family(own)
    assert caplog.messages == [f"Running the program {own}/family.py"]


# What would hang, break down or fail late


def test_a_pipe_is_no_data_no_analysis_and_no_place_for_results(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match="is no file"):
        load(pipe)
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "data.csv").write_text("a,b\n1,2\n")
    os.mkfifo(folder / "source.toml")
    with pytest.raises(DataError, match="is no file"):
        load(folder)
    os.mkfifo(tmp_path / "analysis.toml")
    with pytest.raises(ModelError, match="is no file"):
        read_analysis(tmp_path)
    with pytest.raises(HbmError, match="is no file"):
        read_reference(pipe)
    with pytest.raises(HbmError, match="a pipe"):
        refuse_place(pipe, "--json")
    with pytest.raises(StorageError, match="a pipe"):
        write_beside(pipe, b"{}")


def test_a_cell_that_is_too_long_is_said_as_that(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text(f"a,b\n1,2\n{'x' * 131_073},3\n")
    with pytest.raises(DataError, match=r"line 3: a cell of more than 131,072 characters"):
        load(tmp_path / "long.csv")


def test_a_cache_that_cannot_be_written_names_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "cache", Path("/proc/nothing")):
        monkeypatch.setenv("HBM_CACHE", str(place))
        with pytest.raises(StorageError, match="Set HBM_CACHE to a folder"):
            cache_folder("fits")


def test_a_panic_of_a_library_is_exit_code_3_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class PanicException(BaseException):
        """What bindings of Rust raise: no Exception."""

    def panic(*_: Any, **__: Any) -> None:
        raise PanicException("index out of bounds")

    monkeypatch.setattr(typst, "compile", panic)
    with pytest.raises(TypesettingError, match=r"broke down \(index out of bounds\)"):
        compile_pdf({"title": "x"}, {})
    monkeypatch.setattr("hbm_stan.resources.find_data", panic)
    done = CliRunner().invoke(app, ["new", "t.csv", "--family", "planck", "--to", str(tmp_path)])
    assert done.exit_code == 3
    assert done.stderr == (
        "hbm: a library broke down (index out of bounds). What was finished before is kept; please report it.\n"
    )


@pytest.mark.parametrize("module", ["hbm_stan.cli.app", "typer", "hbm_stan.resources"])
def test_ctrl_c_while_modules_are_imported_leaves_no_traceback(module: str) -> None:
    program = (
        "import sys\nclass Press:\n    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Press()); sys.argv = ['hbm', 'new', 't.csv', '--family', 'planck', '--to', 'b']\n"
        "from hbm_stan.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr.startswith("hbm: stopped.")
    assert done.stderr.count("\n") == 1


def test_the_hash_of_a_pdf_is_that_of_the_bytes_that_were_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_other(path: Path, content: bytes) -> None:
        path.write_bytes(content + b"changed by another process")

    monkeypatch.setattr(pages, "compile_pdf", lambda view, figures: b"%PDF")
    monkeypatch.setattr(pages, "view_of", lambda results, figures: {"figures": []})
    monkeypatch.setattr(pages, "write_beside", write_other)
    assert pages.write_pdf({}, {}, tmp_path / "r.pdf") == hashlib.sha256(b"%PDF").hexdigest()


def large(groups: int, path: Path) -> Dataset:
    path.write_text("g,y,n\n" + "".join(f"g{i},{i % 3},{5}\n" for i in range(groups)))
    return load(path, group="g", count="y", exposure="n")


def test_what_needs_too_much_memory_is_refused_before_a_pilot_with_digits_that_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = large(300, tmp_path / "t.csv")
    family = families()["gamma_poisson"]
    table, sampling = prepare_table(family, data), Sampling()
    # theta, log_lik and y_rep of each group; without pooling theta_raw too.
    one = 4 * 1000 * 8 * 300
    sizes = [memory.held_bytes(family, table, v, sampling) for v in family.default_variants]
    assert sizes == [3 * one, 4 * one, 3 * one]
    # The peak: all fits, and two fifths of the largest of them while it is made, written or read.
    for variants, most in ((("partial_pooling",), 4.2 * one), (family.default_variants, 11.6 * one)):
        monkeypatch.setattr(memory, "MAX_BYTES", int(most) + 2)
        memory.refuse_too_large(family, table, variants, sampling)
        monkeypatch.setattr(memory, "MAX_BYTES", int(most) - 2)
        with pytest.raises(DataError) as refused:
            memory.refuse_too_large(family, table, variants, sampling)
    needed, limit, _alone = re.findall(r"([\d.]+) GiB", str(refused.value))
    assert float(needed) > float(limit)
    monkeypatch.setattr(memory, "MAX_BYTES", 100 * one)
    memory.refuse_too_large(family, table, family.default_variants, sampling)
    monkeypatch.setattr(memory, "MAX_ROW_BYTES", one - 1)
    with pytest.raises(DataError, match=r"GiB of the disk for log densities of rows; .* Ask for fewer draws\."):
        memory.refuse_too_large(family, table, family.default_variants, sampling)
    # Rows of a large table are not among its draws, but what is made of them takes memory.
    monkeypatch.setattr(tree, "MANY_GROUPS", 10)
    assert [memory.held_bytes(family, table, v, sampling) for v in family.default_variants] == [0, one, one]
    assert [memory.stored_bytes(family, table, v, sampling) for v in family.default_variants] == [0] * 3
    monkeypatch.setattr(memory, "MAX_ROW_BYTES", one)
    monkeypatch.setattr(memory, "MORE_IN_BLOCKS", one)
    monkeypatch.setattr(memory, "MAX_BYTES", int(4 * one + 300 * memory.EACH_GROUP) - 1)
    with pytest.raises(
        DataError, match=r"of memory.* variants \(partial_pooling alone needs 0\.\d\d GiB\), or combine"
    ):
        memory.refuse_too_large(family, table, family.default_variants, sampling)
    monkeypatch.setattr(memory, "MAX_BYTES", int(4 * one + 300 * memory.EACH_GROUP) + 1)
    memory.refuse_too_large(family, table, family.default_variants, sampling)
    # Where they are too many for memory, they and two forms of the log densities of rows lie on the disk.
    monkeypatch.setattr(memory, "IN_MEMORY", one // 8 - 1)
    assert [memory.held_bytes(family, table, v, sampling) for v in family.default_variants] == [0] * 3
    assert [memory.disk_bytes(family, table, v, sampling) for v in family.default_variants] == [0, one, one]
    assert memory.scratch_bytes(family, table, family.default_variants, sampling) == 4 * one
    monkeypatch.setattr(memory, "MAX_BYTES", int(one + 300 * memory.EACH_GROUP) + 1)
    memory.refuse_too_large(family, table, family.default_variants, sampling)
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: SimpleNamespace(free=4 * one - 1))
    with pytest.raises(DataError, match=r"of the disk in .*TMPDIR, or ask for fewer variants"):
        memory.refuse_too_large(family, table, family.default_variants, sampling)
    memory.refuse_too_large(family, table, ("partial_pooling",), sampling)
    piloted = Analysis(
        name="a",
        family=family.with_fields(pilot=("partial_pooling",)),
        dataset=data,
        variants=("partial_pooling",),
        folder=tmp_path,
    )
    monkeypatch.setattr(build, "choose_parameterisation", lambda *_, **__: pytest.fail("a pilot was run"))
    monkeypatch.setattr(memory, "MAX_BYTES", one)
    with pytest.raises(DataError, match="GiB"):
        build.settled(piloted)


def test_a_place_that_takes_nothing_is_found_before_sampling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = large(5, tmp_path / "t.csv")

    class NoEngine(StanliEngine):
        """Samples nothing."""

        def sample(self, *_: Any, **__: Any) -> Any:
            pytest.fail("sampled before the place was tried")

    def fit(store: FitStore) -> None:
        fit_variants("gamma_poisson", data, ("complete_pooling",), engine=NoEngine(), store=store)

    with pytest.raises(StorageError, match="/proc/nothing: draws cannot be kept there"):
        fit(FitStore(Path("/proc/nothing")))
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(StorageError, match=r"0\.2 MB are needed, 0\.0 MB are free"):
        fit(FitStore(tmp_path / "fits"))
