"""The house: imports go one way, modules and functions stay small, nothing names a machine or a registry.

The house of the tests too: beside them stand folders of oracles, tools and benches, each with a README that names all.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import hbm_stan

ROOT = Path(hbm_stan.__file__).parent
# The flow of README "Architecture": a module imports only from its left.
FLOW = (
    "errors", "deferred", "budget", "nouns", "verdicts", "resources", "files", "later", "rounding", "normal_density",
    "normal_quantile", "log_sums", "portions", "products", "scratch", "counting", "notebook", "cells", "table",
    "frequencies", "missingness", "outlines", "neighbours", "patches", "selection", "integrals", "reading", "data",
    "levels", "standard_errors", "categories", "ordered", "predictors", "units", "samples", "values", "estimates",
    "encoding", "design", "formula", "mapping", "prepare", "program", "thresholds", "distributions", "priors",
    "likelihoods", "integrate", "model", "prepared", "notation", "families", "identity", "psis", "direct", "engines",
    "executor", "named", "netcdf", "fit_file", "sealed", "store", "independent", "generated", "tree", "memory",
    "elements", "outlook", "fit", "by_nodes", "by_following_nodes", "draw", "between", "density", "mixing",
    "parameterise", "analysis", "rhat", "funnel", "steps", "constants", "histograms", "envelope", "rows",
    "group_means", "replicate", "diagnosis", "diagnose", "export", "attempts", "forms", "directly", "precision",
    "automatic", "checks", "agreement", "scores", "weights", "judge", "sentences", "densities", "leave_one_out",
    "loo_predictive", "loo_pit", "reliability", "repair", "comparable", "comparison", "compare", "factors", "ladder",
    "predict", "new_rows", "coefficients", "shares", "prior_predictive", "sensitivity", "bandit", "certificate",
    "results", "plots", "report", "plot", "examples", "reference", "calibrate", "verify", "testing", "pytest_plugin",
    "skeleton", "cli",
)  # fmt: skip
# Modules that read words of others to know what happened: of the embedded engine, of Python's csv and of its calls.
READ_OTHERS = {Path("engines/stanli.py"), Path("table.py"), Path("families/own.py")}
# What looks into a text, and names of texts that are made for people.
LOOKS = {
    "startswith", "endswith", "removeprefix", "removesuffix", "find", "index", "count", "partition", "rpartition",
    "split", "rsplit",
}  # fmt: skip
PATTERNS = {"search", "match", "fullmatch", "findall", "finditer"}
FOR_PEOPLE = {
    "caption", "detail", "hint", "meaning", "message", "note", "notes", "route", "sentence", "sentences", "verdict",
}  # fmt: skip
MODULES = sorted(p.relative_to(ROOT) for p in ROOT.rglob("*.py"))
TESTS = Path(__file__).parent
BESIDE = ("oracles", "tools", "benches")
# Before it imports an oracle or a test, a tool says where they are: tests/tools/README.md.
WAY = 'sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in (".", "oracles"))'


def room(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def imported_rooms(source: str) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module] if node.module != "hbm_stan" else [f"hbm_stan.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        rooms |= {n.split(".")[1] for n in names if n.startswith("hbm_stan.")}
    return rooms & set(FLOW)


def wrong_imports(name: str, source: str) -> set[str]:
    allowed = FLOW[: FLOW.index(name) + 1]
    return imported_rooms(source) - set(allowed)


@pytest.mark.parametrize(
    "path", [m for m in MODULES if len(m.parts) > 1 or m.stem not in {"__init__", "__main__"}], ids=str
)
def test_a_module_imports_only_from_its_left(path: Path) -> None:
    assert room(path) in FLOW, f"{path} has no place in the flow"
    assert wrong_imports(room(path), (ROOT / path).read_text()) == set()


def test_the_import_rule_catches_a_fault() -> None:
    assert wrong_imports("data", "from hbm_stan.fit import Fit") == {"fit"}
    assert wrong_imports("engines", "import hbm_stan.engines.stanli\nfrom hbm_stan import report") == {"report"}


def test_engines_know_no_family() -> None:
    for path in (ROOT / "engines").glob("*.py"):
        assert not imported_rooms(path.read_text()) & {"model", "families", "data"}, path.name


def test_only_engines_name_what_runs_stan() -> None:
    for path in ROOT.rglob("*.py"):
        if "engines" not in path.parts:
            tree = ast.parse(path.read_text())
            names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
            names |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
            assert not names & {"stanli", "cmdstanpy"}, path


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_modules_and_functions_stay_small(path: Path) -> None:
    text = (ROOT / path).read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno + 1 <= 45, node.name


# Names that say nothing of what they hold: what was found, said, made, kept?
VAGUE = {"found", "said", "made", "kept"}
PYTHON = sorted([*(ROOT / m for m in MODULES), *(ROOT.parent / "tests").rglob("*.py")])


def vague_names(text: str) -> list[str]:
    """The names in a file of code that have a vague word; the names of tests are sentences, which may."""
    names: list[tuple[str, int]] = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                names.append((name, node.lineno))
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.append((name, node.lineno))
            case ast.alias():
                names.append(((node.asname or node.name).rpartition(".")[2], node.lineno))
    return [
        f"line {line}: {name}"
        for name, line in names
        if VAGUE & set(name.lower().split("_")) and not name.startswith("test_")
    ]


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT.parent)))
def test_names_say_what_they_hold(path: Path) -> None:
    assert vague_names(path.read_text()) == []


@pytest.mark.parametrize(
    "fault",
    [
        "found = 1",
        "def f(said): ...",
        "x.kept = 2",
        "f(made=1)",
        "def draws_made(): ...",
        "class Kept: ...",
        "import a.found",
        "from a import b as said",
        "[kept for kept in x]",
    ],
)
def test_the_rule_on_names_catches_a_fault(fault: str) -> None:
    assert vague_names(fault)
    assert vague_names("def test_what_is_found_is_said(draws): f(draws, founder=1)") == []


# From this many fields on a position says too little of what it holds.
MANY_FIELDS = 5
# What a class calls itself where it makes a value of its own.
ITSELF = {"cls", "type(self)", "self.__class__"}


def fields_of(node: ast.ClassDef, names: dict[str, int | str]) -> int:
    """How many fields a class of frozen values has, inherited ones too; 0 where it is another class."""
    frozen = [k for d in node.decorator_list if isinstance(d, ast.Call) for k in d.keywords if k.arg == "frozen"]
    if not frozen and "NamedTuple" not in map(ast.unparse, node.bases):
        return 0
    own = [n for n in node.body if isinstance(n, ast.AnnAssign) and "ClassVar" not in ast.unparse(n.annotation)]
    return len(own) + sum(fields_at(ast.unparse(base), names) for base in node.bases)


def values_in(tree: ast.Module) -> dict[str, int | str]:
    """The names in a module of its own classes, with their fields, and of what it imports, with where that stands."""
    names: dict[str, int | str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(home)) if home.split(".")[0] == "hbm_stan":
                names |= {a.asname or a.name: f"{home}.{a.name}" for a in node.names}
            case ast.Import():
                names |= {a.asname: a.name for a in node.names if a.asname}
                names |= {top: top for top in (a.name.split(".")[0] for a in node.names if not a.asname)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            names[node.name] = fields_of(node, names)
    return names


@cache
def values_of(module: str) -> dict[str, int | str]:
    """``values_in`` a module of the package; nothing where it is none."""
    path = ROOT.parent.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return values_in(ast.parse(file.read_text())) if module and file.is_file() else {}


def fields_at(written: str, names: dict[str, int | str]) -> int:
    """How many fields a class has by its name as code writes it: ``Role`` or ``values.Role``, through all imports."""
    first, _, rest = written.partition(".")
    place = names.get(first, 0)
    if isinstance(place, int):
        return 0 if rest else place
    module, _, name = f"{place}.{rest}".strip(".").rpartition(".")
    return fields_at(name, values_of(module))


def positional_values(source: str) -> list[str]:
    """Where a frozen value of many fields is made with arguments that do not say which field they are."""
    tree = ast.parse(source)
    names = values_in(tree)
    within = {id(n): c.name for c in ast.walk(tree) if isinstance(c, ast.ClassDef) for n in ast.walk(c)}
    places = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            written = ast.unparse(node.func)
            if fields_at(within.get(id(node), "") if written in ITSELF else written, names) >= MANY_FIELDS:
                places.append(f"line {node.lineno}: {written}")
    return places


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_values_of_many_fields_are_made_with_keywords(path: Path) -> None:
    assert positional_values((ROOT / path).read_text()) == []


FIVE = "    a: int\n    b: int\n    c: int\n    d: int\n    e: int = 0\n"


@pytest.mark.parametrize(
    "fault",
    [
        'from hbm_stan.verdicts import Verdict\nVerdict("a", status="pass")',
        "from hbm_stan.verdicts import Verdict\nVerdict(*row)",
        'from hbm_stan.verdicts import Verdict as Row\nrows = [Row(name, "pass") for name in names]',
        'from hbm_stan.prepare import Role\nRole("group", "label", "its name")',
        'from hbm_stan import verdicts\nverdicts.Verdict("a", "pass")',
        'import hbm_stan.verdicts\nhbm_stan.verdicts.Verdict("a", "pass")',
        'import hbm_stan.verdicts as v\nv.Verdict("a", "pass")',
        "import hbm_stan as hbm\nhbm.Sampling(4)",
        'def f():\n    from hbm_stan.verdicts import Verdict\n    return Verdict("a", "pass")',
        f"@dataclass(frozen=True)\nclass Own:\n{FIVE}Own(1, b=2)",
        f"class Own(NamedTuple):\n{FIVE}Own(1, 2, 3, 4)",
        f"@dataclass(frozen=True)\nclass Own:\n{FIVE}    @classmethod\n    def of(cls):\n        return cls(1, b=2)",
        f"@dataclass(frozen=True)\nclass Own:\n{FIVE}    def next(self):\n        return type(self)(2, 3, 4, 5)",
        f"@dataclass(frozen=True)\nclass A:\n{FIVE}@dataclass(frozen=True)\nclass Own(A):\n    f: int = 0\nOwn(1, 2)",
    ],
)
def test_the_rule_on_keywords_catches_a_fault(fault: str) -> None:
    assert len(positional_values(fault)) == 1


@pytest.mark.parametrize(
    "fine",
    [
        'from hbm_stan.verdicts import Verdict\nVerdict(name="a", **rest)',
        'from elsewhere import Verdict\nVerdict("a", "pass")',
        "from hbm_stan.nouns import Noun\nNoun('county', 'counties')",
        "@dataclass(frozen=True)\nclass Two:\n    a: int\n    b: int\nTwo(1, 2)",
        f"class Plain:\n{FIVE}Plain(1)",
    ],
)
def test_the_rule_on_keywords_leaves_other_calls(fine: str) -> None:
    assert positional_values(fine) == []


def test_importing_the_package_and_help_load_nothing_heavy() -> None:
    heavy = {
        "numpy",
        "pandas",
        "xarray",
        "scipy",
        "arviz",
        "arviz_stats",
        "matplotlib",
        "plotnine",
        "stanli",
        "cmdstanpy",
        "typst",
    }
    for code in ("import hbm_stan", "import hbm_stan.cli.app"):
        program = f"import sys; {code}; print(sorted(set(sys.modules) & {heavy!r}))"
        printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        assert printed.strip() == "[]", code


def test_every_public_name_is_what_it_says_even_after_its_module_is_imported() -> None:
    import hbm_stan.compare
    import hbm_stan.fit
    import hbm_stan.report.build

    for name in hbm_stan._HOMES:
        assert callable(getattr(hbm_stan, name)), name
    assert hbm_stan.fit.__name__ == "fit"
    assert {*hbm_stan._HOMES, *hbm_stan._ROOMS} == set(dir(hbm_stan)) == set(hbm_stan.__all__)
    assert all(getattr(hbm_stan, name).__name__ == f"hbm_stan.{name}" for name in hbm_stan._ROOMS)
    starred: dict[str, object] = {}
    exec("from hbm_stan import *", starred)
    assert {*hbm_stan._HOMES, *hbm_stan._ROOMS} == set(starred) - {"__builtins__"}
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = hbm_stan.nothing_here


def test_no_file_names_a_machine_or_a_registry() -> None:
    top = ROOT.parent
    if not (top / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(["git", "ls-files"], cwd=top, capture_output=True, text=True, check=True).stdout.split("\n")
    pattern = re.compile(r"https?://[^ ]*(pyp" + r"i|pythonhosted|npmjs|debian)\.|/wor" + r"k/|/roo" + r"t/")
    for name in filter(None, listed):
        path = top / name
        if path.suffix != ".pdf" and path.is_file():
            assert not pattern.search(path.read_text(encoding="utf-8", errors="ignore")), name


def strays(tests: Path) -> set[str]:
    """Modules among the tests that are none."""
    return {p.name for p in tests.glob("*.py") if p.name != "conftest.py" and not p.name.startswith("test_")}


def unlike_its_readme(folder: Path) -> set[str]:
    """What lies in a folder and is not named in its README, and modules named there that do not lie in it."""
    names = {p.name + "/" * p.is_dir() for p in folder.iterdir() if p.name[0] != "." and p.name != "__pycache__"}
    lines = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    named = {match[1] for line in lines if (match := re.match(r"\* `([^`]+)`: ", line))}
    return (names - {"README.md"}) ^ named


def imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    return names | {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}


def lost_imports(tests: Path) -> set[str]:
    """Modules beside the tests that import what Python does not find, or what is none of theirs."""
    at = {p.stem: folder for folder in BESIDE for p in (tests / folder).glob("*.py")}
    at |= {p.stem: "." for p in tests.glob("*.py")}
    paths = set()
    for name, folder in at.items():
        if folder != ".":
            path = tests / folder / f"{name}.py"
            others = {at[n] for n in imported(path) if n in at} - {folder}
            told = WAY in path.read_text(encoding="utf-8").splitlines()
            allowed = {".", "oracles"} if folder == "tools" and told else set()
            paths |= {f"{folder}/{name}.py"} if others - allowed else set()
    return paths


def test_beside_the_tests_all_has_its_folder_and_its_line() -> None:
    assert strays(TESTS) == set()
    assert {folder: unlike_its_readme(TESTS / folder) for folder in BESIDE} == {folder: set() for folder in BESIDE}
    assert lost_imports(TESTS) == set()
    modules = [p.stem for folder in (".", *BESIDE) for p in (TESTS / folder).glob("*.py")]
    assert len(modules) == len(set(modules)), "two modules of one name"


def test_the_rules_for_tests_catch_a_stray_file(tmp_path: Path) -> None:
    for folder in BESIDE:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "README.md").write_text("# Here\n\n* `gone.py`: no more. `told.py` is only mentioned.\n")
    for name in ("conftest.py", "test_it.py", "sweep.py", "tools/told.py", "oracles/truth.py"):
        (tmp_path / name).write_text("import numpy\n")
    assert strays(tmp_path) == {"sweep.py"}
    assert unlike_its_readme(tmp_path / "tools") == {"gone.py", "told.py"}
    assert lost_imports(tmp_path) == set()
    (tmp_path / "oracles" / "truth.py").write_text("import told\n")
    (tmp_path / "benches" / "slow.py").write_text("def main():\n    from truth import exact\n")
    (tmp_path / "tools" / "told.py").write_text("from test_it import NAMES\n")
    assert lost_imports(tmp_path) == {"oracles/truth.py", "benches/slow.py", "tools/told.py"}
    (tmp_path / "tools" / "told.py").write_text(f"import sys\n\n{WAY}\nfrom test_it import NAMES\n")
    assert lost_imports(tmp_path) == {"oracles/truth.py", "benches/slow.py"}


def test_every_module_of_the_tests_that_a_file_names_is_there() -> None:
    top = ROOT.parent
    if not (top / ".git").exists():
        pytest.skip("not a checkout")
    command = ["git", "grep", "-ohIE", r"\btests/[a-z_/]+\.py\b"]
    named = set(subprocess.run(command, cwd=top, capture_output=True, text=True, check=True).stdout.split())
    assert {name for name in named if not (top / name).is_file()} == set()


# --- sentences carry a kind: no code looks into a sentence to decide ------------------------------------------------


def literal(node: ast.AST) -> str:
    """The text of a literal; a placeholder of an f-string is a word."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "x" for v in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def is_sentence(text: str) -> bool:
    """Whether a text has three words or more: shorter ones are names."""
    return sum(any(letter.isalpha() for letter in word) for word in text.split()) >= 3


def flat(node: ast.AST) -> list[ast.AST]:
    return [part for e in node.elts for part in flat(e)] if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]


def constants(tree: ast.Module) -> set[str]:
    """The names that a module gives to sentences."""
    given = [(target, node.value) for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    given += [(node.target, node.value) for node in tree.body if isinstance(node, ast.AnnAssign) and node.value]
    pairs = [pair for target, value in given for pair in zip(flat(target), flat(value), strict=False)]
    return {name.id for name, value in pairs if isinstance(name, ast.Name) and is_sentence(literal(value))}


@cache
def constants_of(module: str) -> set[str]:
    """The names that a module of the package gives to sentences."""
    path = ROOT.parent.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return constants(ast.parse(file.read_text()))


def sentences_of(tree: ast.Module) -> set[str]:
    """The names of sentences that code in a module may use: its own, and those that it imports."""
    names = constants(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("hbm_stan"):
            names |= {a.asname or a.name for a in node.names if a.name in constants_of(node.module)}
    return names


def called(node: ast.AST) -> str:
    """The name of a variable, an attribute or a key."""
    if isinstance(node, ast.Subscript):
        return literal(node.slice)
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def looked_into(node: ast.AST) -> Iterator[tuple[ast.AST, list[ast.AST]]]:
    """The texts that an expression looks into, each with what it looks for."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
            if isinstance(operator, ast.Eq | ast.NotEq):
                yield from ((left, flat(right)), (right, flat(left)))
            elif isinstance(operator, ast.In | ast.NotIn):
                yield from ((right, flat(left)), (left, flat(right)))
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in LOOKS:
            yield node.func.value, [part for a in node.args for part in flat(a)]
        elif node.func.attr in PATTERNS and node.args:
            yield from ((text, [ast.Constant("pattern")]) for text in node.args)


def wordings_that_decide(source: str) -> list[str]:
    """Where code decides by how a sentence is worded, or looks into the message of an error that it caught.

    A sentence is a literal, or the name of one, of three words or more, and whatever bears the name of a text that is
    made for people.
    """
    tree = ast.parse(source)
    named = sentences_of(tree)
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    places = set()
    for node in ast.walk(tree):
        for text, sought in looked_into(node):
            message = isinstance(text, ast.Call) and called(text.func) == "str" and {*map(called, text.args)} & caught
            worded = any(is_sentence(literal(s)) or called(s) in named for s in sought)
            told = called(text) in FOR_PEOPLE and any(literal(s).strip() for s in sought)
            if message or told or (worded and not isinstance(text, ast.Constant)):
                places.add(f"line {node.lineno}: {ast.unparse(node)}")
    return sorted(places)


@pytest.mark.parametrize("path", [m for m in MODULES if m not in READ_OTHERS], ids=str)
def test_no_code_looks_into_a_sentence_to_decide(path: Path) -> None:
    assert wordings_that_decide((ROOT / path).read_text()) == []


@pytest.mark.parametrize(
    "fault",
    [
        'hint = near if near.startswith("Did you mean") else ""',
        "try:\n    pass\nexcept ValueError as error:\n    full = WITHOUT in str(error)",
        'try:\n    pass\nexcept ValueError as error:\n    full = re.search("full", str(error))',
        'UNRELIABLE, SURE = "weights, not reliable", "weights"\nunsure = [r for r in rows if r.route == UNRELIABLE]',
        'ROUTE = "needs refits: no group_log_lik"\ndear = any(s.way in {ROUTE, ""} for s in scores)',
        "from hbm_stan.coefficients import AT_ZERO as PLACE\nagain = row.place == PLACE",
        'of_one = meaning.replace(a, b) if "predictor" in meaning else meaning',
        'kept = [note for note in notes if f"({STATE})" not in note]',
        'shown = [s for s in scores if s.route != "PSIS"]',
        'shown = [s for s in scores if s["route"] == "PSIS"]',
        'first = finding.sentence.partition(". ")[0]',
        'outcomes = what != "variance over the rows"',
    ],
)
def test_the_rule_on_sentences_catches_a_fault(fault: str) -> None:
    assert wordings_that_decide(fault)
    assert wordings_that_decide("shown = [s for s in scores if s.route is not Route.PSIS and s.note]") == []
