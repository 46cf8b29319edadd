"""What others computed becomes a reference: draws and summaries in every usual form, names mapped, faults named."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from spy import Spy
from test_cli import hbm
from test_identity import SCHOOLS, schools

from hbm_stan.diagnose import summarise
from hbm_stan.engines import Sampling
from hbm_stan.errors import DiagnosticError, ModelError
from hbm_stan.examples import example, few_rows, smallest_analysis
from hbm_stan.fit import Job, jobs_of
from hbm_stan.reference import read_reference, write_reference
from hbm_stan.reference.foreign import Draws, read_foreign
from hbm_stan.reference.foreign_summary import figures
from hbm_stan.reference.imported import Imported, import_reference
from hbm_stan.reference.naming import named, ours

# Means and sds of eight schools, stan-dev/posteriordb 28f8d3d (eight_schools-eight_schools_noncentered).
FACTS = {
    "theta[1]": (6.150502, 5.615863), "theta[2]": (4.939581, 4.645578), "theta[3]": (3.905906, 5.280712),
    "theta[4]": (4.796017, 4.770938), "theta[5]": (3.614436, 4.614721), "theta[6]": (4.051148, 4.796248),
    "theta[7]": (6.31717, 5.002855), "theta[8]": (4.883997, 5.317692), "mu": (4.410518, 3.309296),
    "tau": (3.60206, 3.198478),
}  # fmt: skip
OURS = [*(f"theta[{label}]" for label in "ABCDEFGH"), "mu", "tau"]
CHAINS, DRAWS = 4, 300


def chains(
    names: dict[str, tuple[float, float]] = FACTS, shape: tuple[int, int] = (CHAINS, DRAWS)
) -> list[dict[str, Any]]:
    """Draws as posteriordb has them: a list of chains."""
    rng = np.random.default_rng(8)
    return [{n: rng.normal(m, s, shape[1]).tolist() for n, (m, s) in names.items()} for _ in range(shape[0])]


def job(name: str = "normal_means", variant: str = "partial_pooling") -> Job:
    if name == "normal_means":
        return jobs_of(example(name)[0], schools(SCHOOLS), (variant,), None, Sampling(), Spy())[0]
    dataset = few_rows(smallest_analysis(name).dataset, example(name)[0])
    return jobs_of(example(name)[0], dataset, (variant,), None, Sampling(), Spy())[0]


def written(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def imported(*paths: Path, **renamed: str) -> Imported:
    return import_reference(paths, [job()], "schools", paths[0].with_name("reference.json"), renamed)


def as_json(folder: Path) -> Path:
    return written(folder / "draws.json", chains())


def as_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "draws.json.zip", "w") as archive:
        archive.writestr("draws.json", json.dumps(chains()))
    return folder / "draws.json.zip"


def frame(dots: bool = False) -> pd.DataFrame:
    parts = [
        pd.DataFrame(chain).assign(**{".chain": i + 1, ".draw": np.arange(DRAWS)}) for i, chain in enumerate(chains())
    ]
    table = pd.concat(parts)
    return table.rename(columns=lambda n: n.replace("[", ".").rstrip("]")) if dots else table


def as_csv(folder: Path) -> Path:
    table = frame().sample(frac=1, random_state=1)  # in no order: chain and draw say which is which
    return written(folder / "draws.csv", table[[".draw", *sorted(FACTS), ".chain"]].to_csv(index=False))


def as_netcdf(folder: Path) -> Path:
    values = np.array([[chain[n] for n in FACTS] for chain in chains()])  # (chain, parameter, draw)
    theta = (("chain", "theta_dim_0", "draw"), values[:, :8])
    posterior = xr.Dataset(
        {"theta": theta, "mu": (("chain", "draw"), values[:, 8]), "tau": (("chain", "draw"), values[:, 9])},
        {"theta_dim_0": np.arange(8)},
    )
    xr.DataTree.from_dict({"posterior": posterior}).to_netcdf(folder / "draws.nc", engine="h5netcdf")
    return folder / "draws.nc"


@pytest.mark.parametrize("form", [as_json, as_zip, as_csv, as_netcdf])
def test_draws_in_every_form_are_the_same_figures(form: Callable[[Path], Path], tmp_path: Path) -> None:
    foreign = imported(form(tmp_path))
    expected = summarise(OURS, np.array([[chain[n] for chain in chains()] for n in FACTS]))
    table = foreign.reference.posteriors[0].table
    pd.testing.assert_frame_equal(table.loc[OURS, expected.columns], expected, check_names=False, rtol=1e-12)
    assert (foreign.names.missing, foreign.names.left_over) == ((), ())
    assert foreign.notes[0].startswith("Names mapped: theta[1] as theta[A], ") or form is as_csv
    assert "1,200 draws (posteriordb: 10,000)" in foreign.notes[-1]
    write_reference(foreign.reference)
    held = read_reference(foreign.reference.path)
    assert (held.kind, held.exact, held.posteriors[0].variants) == ("foreign", False, ("partial_pooling",))
    assert held.data["sha256"]
    assert set(held.priors) == {"mu", "tau"}


def test_a_file_of_cmdstan_for_each_chain(tmp_path: Path) -> None:
    files = []
    for i, part in frame(dots=True).groupby(".chain"):
        table = part.drop(columns=[".chain", ".draw"]).assign(lp__=-1.0, divergent__=0)
        head = "# stan_version_major = 2\n# save_warmup = 0 (Default)\n"
        lines = table.to_csv(index=False).splitlines()
        text = "\n".join([head + lines[0], "# Adaptation terminated", *lines[1:], "# Elapsed Time: 1 seconds"])
        files.append(written(tmp_path / f"chain-{i}.csv", text))
    foreign = imported(*files)
    expected = summarise(OURS, np.array([[chain[n] for chain in chains()] for n in FACTS]))
    table = foreign.reference.posteriors[0].table
    np.testing.assert_allclose(table.loc[OURS, expected.columns].to_numpy(), expected.to_numpy(), rtol=1e-12)
    assert foreign.names.left_over == ()
    warm = written(tmp_path / "warm.csv", files[0].read_text().replace("save_warmup = 0", "save_warmup = 1"))
    with pytest.raises(ModelError, match="holds draws of the warm-up"):
        imported(warm)


SUMMARIES = {
    "posterior": "variable,mean,median,sd,mad,q5,q95,rhat,ess_bulk,ess_tail\n{n},1.5,1.4,2,2,-1,4,1.0,400,300\n",
    "CmdStan": '"name","Mean","MCSE","StdDev","5%","50%","95%","N_Eff","R_hat"\n"{n}",1.5,0.1,2,-1,1.4,4,400,1\n',
    "rstan": ",mean,se_mean,sd,2.5%,5%,50%,95%,n_eff,Rhat\n{n},1.5,0.1,2,-2,-1,1.4,4,400,1\n",
    "ours": "parameter,mean,sd,q05,q50,q95,mcse_mean\n{n},1.5,2,-1,1.4,4,0.1\n",
    "shares": "parameter,mean,sd,0.05,0.5,0.95,ess\n{n},1.5,2,-1,1.4,4,400\n",
}


@pytest.mark.parametrize("form", SUMMARIES)
def test_summaries_in_every_form_are_the_same_figures(form: str, tmp_path: Path) -> None:
    foreign = imported(written(tmp_path / "summary.csv", SUMMARIES[form].format(n="mu")))
    row = foreign.reference.posteriors[0].table.loc["mu"]
    assert row[["mean", "sd", "q05", "q50", "q95"]].tolist() == [1.5, 2, -1, 1.4, 4]
    # sd / sqrt(400); of a normal posterior: 2 / sqrt(800), sqrt(p (1 - p) / 400) / density.
    assert row["mcse_mean"] == pytest.approx(0.1)
    assert row["mcse_sd"] == pytest.approx(0.0707107, rel=1e-6)
    assert row["mcse_q50"] == pytest.approx(0.1253314, rel=1e-6)
    assert row[["mcse_q05", "mcse_q95"]].tolist() == pytest.approx([0.2113187] * 2, rel=1e-6)
    assert any(note.startswith("Assumed: errors of sds and quantiles") for note in foreign.notes)
    assert any("Missing in the file, and not to be compared: tau, theta[A], " in note for note in foreign.notes)


def test_json_summaries_and_errors_that_are_given(tmp_path: Path) -> None:
    columns = {"names": ["mu", "tau"], "mean_value": [1.0, 2.0], "sd_value": [0.5, 0.25], "mcse_mean": [0.01, 0.005]}
    records = [
        {"name": "mu", "mean": 1.0, "sd": 0.5, "mcse_mean": 0.01, "mcse_sd": 0.02},
        {"name": "tau", "mean": 2.0, "sd": 0.25, "mcse_mean": 0.005, "mcse_sd": 0.03},
    ]
    by_name = {row["name"]: {k: v for k, v in row.items() if k != "name"} for row in records}
    for i, content in enumerate((columns, records, by_name, {"parameters": by_name})):
        table = imported(written(tmp_path / f"{i}.json", content)).reference.posteriors[0].table
        assert table["mean"].to_dict() == {"mu": 1.0, "tau": 2.0}
        assert table["mcse_mean"].to_dict() == {"mu": 0.01, "tau": 0.005}
        assert table["mcse_sd"].tolist() == ([0.02, 0.03] if i else pytest.approx([0.00707107, 0.003535534], rel=1e-6))


def test_a_summary_with_neither_errors_nor_ess_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = written(tmp_path / "s.csv", "parameter,mean,sd\nmu,1,2\n")
    with pytest.raises(ModelError, match=r"how exact the mean of mu is\. Add a column mcse_mean or ess"):
        imported(path)


# Names


def test_places_are_counted_as_numbers_and_never_sorted_as_text() -> None:
    own = ours(job("beta_binomial"))
    n = len(own.labels["theta"][0])
    assert n > 10
    for theirs in ([f"theta[{i}]" for i in range(1, n + 1)], [f"theta.{i}" for i in range(1, n + 1)]):
        shuffled = sorted(theirs)  # theta[1], theta[10], theta[11], theta[2]
        names = named("f", [*shuffled, "mu"], own, {}).names
        assert [names[t] for t in theirs] == own.of("theta")


def test_terms_and_renamed_parameters() -> None:
    own = ours(job("linear_regression"))
    assert own.labels["mu"][0][0] == "intercept"
    (first, second, *_) = own.labels["mu"][0]
    names = named("f", ["b[1]", "b[2]", "sd_1", "lp"], own, {"b": "mu", "sd_1": f"tau[{second}]"})
    assert names.names == {"b[1]": "mu[intercept]", "b[2]": f"mu[{second}]", "sd_1": f"tau[{second}]"}
    assert names.left_over == ("lp",)
    assert f"tau[{first}]" in names.missing
    pairs = [f"theta[{j},{k}]" for k in (1, 2) for j in range(1, len(own.labels["theta"][0]) + 1)]
    names = named("f", pairs, own, {})
    assert names.names["theta[2,1]"] == f"theta[{own.labels['theta'][0][1]}, {first}]"


@pytest.mark.parametrize(
    ("theirs", "renamed", "message"),
    [
        ([f"theta[{i}]" for i in range(1, 8)], {}, "theta has 7 elements there and 8 here"),
        ([f"theta[{i}]" for i in range(1, 10)], {}, "theta has 9 elements there and 8 here"),
        (["theta[A]", "theta[Z]"], {}, r"theta\[Z\] has no such label here"),
        (["a", "b"], {}, "none of its parameters is one of this variant: found a, b; wanted"),
        (["mu", "m"], {"m": "mu"}, "mu and m are both mu"),
        (["mu"], {"m": "mu"}, "there is no parameter 'm' to map"),
        (["mu"], {"mu": "nu"}, "there is no parameter 'nu' here"),
    ],
)
def test_names_that_do_not_fit_are_refused(theirs: list[str], renamed: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        named("f", theirs, ours(job()), renamed)


def test_labels_that_are_numbers_are_not_taken_for_places() -> None:
    frame = SCHOOLS.assign(school=list("21345678"))
    own = ours(jobs_of(example("normal_means")[0], schools(frame), ("partial_pooling",), None, Sampling(), Spy())[0])
    theirs = [f"theta[{i}]" for i in range(1, 9)]
    with pytest.raises(ModelError, match=r"theta\[1\] may be the label 1 or the first of theta\[2\], theta\[1\]"):
        named("f", theirs, own, {})
    dots = named("f", [f"theta.{i}" for i in range(1, 9)], own, {}).names
    assert (dots["theta.1"], dots["theta.2"]) == ("theta[2]", "theta[1]")


# Hostile files


def changed(chain: int, name: str, value: Any) -> list[dict[str, Any]]:
    records = chains()
    records[chain][name] = value
    return records


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("d.json", "", "is empty"),
        ("d.json", "{not json", "is not JSON"),
        ("d.json", "[" * 100_000, "is not JSON"),
        ("d.json", "[]", "neither draws"),
        ("d.json", [1, 2], "neither draws"),
        ("d.json", '[{"mu": [NaN, 1]}]', "NaN is no number"),
        ("d.json", [{"mu": [1e999]}], "Infinity is no number"),
        ("d.json", changed(1, "mu", [1.0] * 10), r"chains of 10 and 300 draws \(chain 2\)"),
        ("d.json", changed(1, "more", [1.0] * DRAWS), "do not have the same parameters: more"),
        ("d.json", changed(1, "mu", ["x"] * DRAWS), "mu has a draw that is no number: 'x'"),
        ("d.json", changed(1, "mu", [None] * DRAWS), "mu has a draw that is no number"),
        ("d.json", changed(1, "mu", [True] * DRAWS), "mu has a draw that is no number: True"),
        ("d.json", chains(shape=(300, 4)), "300 chains of 4 draws each. Are chains and draws exchanged"),
        ("d.json", chains(shape=(2, 10)), "20 draws are too few"),
        ("d.csv", "mu,tau\n", "has a header but no rows"),
        ("d.csv", "mu,tau\n1,2,3\n1,2\n1,2,3,4\n", "is no table with commas"),
        ("d.csv", "mu,tau\n" + "1,nan\n" * 200, "draws that are not finite, tau first"),
        ("d.csv", "mu,tau\n" + "1,x\n" * 200, "the column 'tau' is none of numbers"),
        ("d.csv", ".chain,mu\n" + "1,2\n" * 200 + "2,2\n" * 199, "chains of 199 and 200 draws"),
        ("d.nc", "no netcdf", "is no NetCDF-4 file"),
        ("d.zip", "no zip", "cannot be read"),
        ("s.csv", "name,mean,sd,q5,q95,ess\nmu,1,2,5,-5,100\n", "q05 of mu is 5, above its q95, -5"),
        ("s.csv", "name,mean,sd,ess\nmu,1,-2,100\n", "the sd of mu is -2; it must be above zero"),
        ("s.csv", "name,mean,sd,ess\nmu,1,2,100\nmu,1,2,100\n", "'mu' stands in more than one row"),
        ("s.csv", "name,mean,sd,ess\nmu,inf,2,100\n", "a figure of mu is not finite"),
        ("s.csv", "name,weight\nmu,1\n", "no column is a mean, sd or quantile"),
        ("s.csv", "name,mean,Mean,ess\nmu,1,1,9\n", "'mean' and 'Mean' are both mean"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_words(name: str, content: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=words):
        imported(written(tmp_path / name, content))
    with pytest.raises(ModelError, match="there is no such file"):
        imported(tmp_path / f"no-{name}")


def test_bytes_that_are_no_text_and_more_than_there_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="is no text in UTF-8"):
        imported(tmp_path / "d.csv")
    path = as_zip(tmp_path)
    monkeypatch.setattr("hbm_stan.reference.foreign.MAX_BYTES", 2**10)
    with pytest.raises(ModelError, match="holds more than 0 MiB"):  # what is inside counts, not the archive
        imported(path)


def test_chains_that_did_not_converge_are_no_reference(tmp_path: Path) -> None:
    records = changed(2, "mu", (np.array(chains()[2]["mu"]) + 9).tolist())
    with pytest.raises(DiagnosticError, match="R-hat of mu is 1"):
        imported(written(tmp_path / "d.json", records))
    one = imported(written(tmp_path / "one.json", chains(shape=(1, 500))))
    assert "one chain, so that R-hat says nothing" in one.notes[-1]


def test_dependent_draws_have_larger_errors_and_are_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    walk = rng.normal(size=(4, 3000))
    for i in range(1, 3000):
        walk[:, i] = 0.8 * walk[:, i - 1] + 0.6 * walk[:, i]
    foreign = imported(written(tmp_path / "d.json", [{"mu": chain.tolist()} for chain in walk]))
    assert foreign.reference.posteriors[0].table.loc["mu", "mcse_mean"] == pytest.approx(3 / np.sqrt(12_000), rel=0.15)
    assert "neighbouring draws correlate by up to 0.8" in foreign.notes[-1]


def test_the_draws_are_read_as_they_stand(tmp_path: Path) -> None:
    draws = read_foreign([as_json(tmp_path)])
    assert isinstance(draws, Draws)
    assert draws.values.shape == (10, CHAINS, DRAWS)
    assert draws.values[8, 1, 2] == chains()[1]["mu"][2]


def test_quantiles_are_told_by_their_names() -> None:
    names = (
        ["5%", "50%", "95%"],
        ["q5", "median", "q95"],
        ["Q05", "q50", "Q95"],
        ["p5", "p50", "p95"],
        ["0.05", "0.5", "0.95"],
    )
    for low, middle, high in names:
        table = pd.DataFrame(
            {low: [1.0], middle: [2.0], high: [3.0], "ess": [100.0], "sd": [1.0], "97.5%": [9.0]}, index=["mu"]
        )
        summaries, left, _ = figures("f", table)
        assert summaries[["q05", "q50", "q95"]].to_numpy().tolist() == [[1.0, 2.0, 3.0]]
        assert left == ("97.5%",)


# The commands


@pytest.mark.usefixtures("stanli")
def test_the_command_imports_names_what_is_missing_and_keeps_what_is_there(analysis: Path, tmp_path: Path) -> None:
    held = json.loads((Path(__file__).parent / "reference" / "eight_schools-posteriordb_draws.json").read_text())
    figures_of = held["posteriors"][0]["parameters"]
    rows = {f"theta.{i + 1}": figures_of[f"theta[{c}]"] for i, c in enumerate("ABCDEFGH")} | {"m": figures_of["mu"]}
    file = tmp_path / "theirs.csv"
    pd.DataFrame.from_dict(rows, orient="index").rename_axis("variable").to_csv(file)
    asked = ("reference", analysis, "--import", file, "--map", "m=mu", "--variant", "partial_pooling")
    done = hbm(*asked, "--json", tmp_path / "out.json")
    assert done.exit_code == 0, done.output
    out = json.loads((tmp_path / "out.json").read_text())
    assert out["import"]["missing"] == ["tau"]
    assert out["import"]["mapped"]["theta.2"] == "theta[B]"
    assert "Missing in the file, and not to be compared: tau." in done.output
    before = (analysis / "reference.json").read_bytes()
    done = hbm(*asked)
    assert done.exit_code == 2
    assert "is there already. --replace puts" in done.output
    assert (analysis / "reference.json").read_bytes() == before
    done = hbm("reference", analysis, "--import", tmp_path / "none.csv", "--replace")
    assert done.exit_code == 2
    assert (analysis / "reference.json").read_bytes() == before
    done = hbm("regress", analysis, "--engine", "stanli", "--json", tmp_path / "out.json")
    assert done.exit_code == 0, done.output
    out = json.loads((tmp_path / "out.json").read_text())
    assert out["status"] == "agrees"
    assert "imported from theirs.csv" in out["not_checked"][0]
    assert "Parameters not compared" in done.output
    # Two schools exchanged are seen.
    rows["theta.1"], rows["theta.3"] = rows["theta.3"], rows["theta.1"]
    pd.DataFrame.from_dict(rows, orient="index").rename_axis("variable").to_csv(file)
    assert hbm(*asked, "--replace").exit_code == 0
    done = hbm("regress", analysis, "--engine", "stanli")
    assert done.exit_code == 1
    assert "theta[A]: mean" in done.output


def test_options_that_do_not_belong_together(analysis: Path) -> None:
    for asked, message in (
        (("--save", "--import", "x.json"), "give one of them"),
        (("--map", "a=b"), "belong to --import FILE"),
        (("--import", "x.json", "--map", "a"), "write THEIRS=OURS"),
    ):
        done = hbm("reference", analysis, *asked)
        assert done.exit_code == 2
        assert message in " ".join(done.output.split())
