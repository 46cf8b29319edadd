"""What a posterior is of is the same on every machine: last bits of computed numbers do not count, cells do."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from spy import Spy

from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.errors import ModelError
from hbm_stan.examples import example, few_rows, smallest_analysis
from hbm_stan.families import families
from hbm_stan.families.own import read_family
from hbm_stan.fit import Fit, Job, jobs_of
from hbm_stan.formula import columns_read
from hbm_stan.identity import data_hash
from hbm_stan.model import Family
from hbm_stan.named import NamedTree
from hbm_stan.parameterise import _key as pilots_key
from hbm_stan.priors import to_decimals, two_digits
from hbm_stan.reference import Posterior, Reference, matches
from hbm_stan.repair.jobs import job_without
from hbm_stan.rounding import nine_digits, same_number, to_nine_digits
from hbm_stan.skeleton import new_family

PROCESSORS = (-math.inf, math.inf)  # which way last bits may fall
# Their mean, 2.1, is none of them; about it, 2.1 - 2.1 is 0 on one machine and a last bit on another.
WAITING = pd.DataFrame({"ward": list("aabbcc"), "wait": [1.5, 2.1, 2.7, 1.1, 3.1, 2.1]})


def job(family: Family, dataset: Dataset, variant: str = "", **changed: Any) -> Job:
    name = variant or family.default_variants[-1]
    return jobs_of(family, dataset, (name,), changed.get("priors"), Sampling(), Spy())[0]


def small(name: str) -> tuple[Family, Dataset]:
    """A family and the small table that its programs are checked with."""
    return example(name)[0], few_rows(smallest_analysis(name).dataset, example(name)[0])


def again(frame: pd.DataFrame, dataset: Dataset) -> Dataset:
    """Another table that is read as the dataset is: with its roles, and its formula where it has one."""
    return replace(Dataset.from_frame(frame, dataset.columns), reading=dataset.reading)


def moved(value: Any, way: float) -> Any:
    """Each fraction one unit in its last place further; zeros, which may be a bound, stay."""
    if isinstance(value, float) or np.asarray(value).dtype.kind == "f":
        before = np.asarray(value, dtype=float)
        stepped = np.where(before == 0, before, np.nextafter(before, way))
        return stepped if isinstance(value, np.ndarray) else stepped.tolist()
    return value


def elsewhere(family: Family, way: float) -> Family:
    """The family on a machine that computes everything one last bit off: Stan data and default priors."""

    def prepare(table: Any, priors: Any) -> dict[str, Any]:
        return {name: moved(value, way) for name, value in family.programs.prepare(table, priors).items()}

    def default_priors(table: Any) -> dict[str, Any]:
        return {
            name: replace(prior, arguments=tuple(moved(a, way) for a in prior.arguments))
            for name, prior in family.programs.default_priors(table).items()
        }

    return family.with_fields(prepare=prepare, default_priors=default_priors)


def identity(job: Job) -> tuple[str, str, str]:
    """All that must be the same on two machines: of references, of kept fits, of pilots."""
    return (
        data_hash(job.family, job.variant, job.table, job.data), job.key,
        pilots_key(job.family, {job.variant: job.data}, 1, Spy()),
    )  # fmt: skip


def reference_of(job: Job) -> Reference:
    digest = data_hash(job.family, job.variant, job.table, job.data)
    return Reference(
        path=Path("reference.json"), title="t", kind="long run", source="s", method="m", exact=False,
        family=job.family.name, data={"sha256": digest}, priors=job.family.prior_texts(job.variant, job.priors),
        posteriors=(Posterior((job.variant,), pd.DataFrame({"mean": [0.0]}, index=["mu"])),),
    )  # fmt: skip


@pytest.mark.parametrize("name", families())
def test_last_bits_of_what_is_computed_are_no_part_of_an_identity(name: str) -> None:
    family, dataset = small(name)
    for variant in family.programs.variants:
        here = job(family, dataset, variant.name)
        for way in PROCESSORS:
            there = job(elsewhere(family, way), dataset, variant.name)
            assert any(not np.array_equal(there.data[n], here.data[n]) for n in here.data)
            assert identity(there) == identity(here), (variant.name, way)
            assert matches(there, reference_of(here)).variants == (variant.name,)


@pytest.mark.parametrize("name", families())
def test_a_changed_cell_changes_every_identity(name: str) -> None:
    family, dataset = small(name)
    here, table = job(family, dataset), dataset.table
    columns = [c for role in family.roles if role.kind not in {"label", "unit"} for c in dataset.listed(role.name)]
    if family.terms:
        columns += [c for c in columns_read(here.table.dataset) if c not in columns]
    numbers = [c for c in columns if not any(re.search("[A-Za-z]", str(x)) for x in table.column(c))]
    assert numbers
    for column in numbers:
        cells = list(map(str, table.column(column)))
        role = next((r for r in family.roles if column in dataset.listed(r.name)), None)
        whole = role is not None and role.kind in {"count", "binary"}
        binary = set(cells) <= {"0", "1"}
        at = next(i for i, cell in enumerate(cells) if cell.strip())  # where cells may be empty, the first that is not
        step = (1 - 2 * float(cells[at]) if binary else 1) if whole else 1e-12
        if role is not None and role.kind == "ordered":  # another category
            step = next(float(cell) for cell in cells if cell != cells[0]) - float(cells[0])
        other = {n: list(map(str, table.column(n))) for n in table.names}
        if role is not None and role.kind == "group_predictors":  # of the whole first group
            labels = table.labels(dataset.column("group"))
            other[column] = [
                repr(float(c) + step) if label == labels[0] else c for c, label in zip(cells, labels, strict=True)
            ]
        else:
            other[column][at] = repr(float(cells[at]) + step)
            if role is not None and role.at_most and dataset.column(role.at_most):
                limit = dataset.column(role.at_most)
                other[limit][at] = repr(float(other[limit][at]) + 1)
        there = job(family, again(pd.DataFrame(other), dataset))
        assert identity(there)[0] != identity(here)[0], column
        assert identity(there)[1] != identity(here)[1], column


def test_cells_that_both_have_more_digits_are_told_apart() -> None:
    family = example("normal_means")[0]
    one, other = (identity(job(family, schools(SCHOOLS.replace(28.0, y)))) for y in (28.00000000001, 28.00000000002))
    assert one[0] != other[0]
    assert one[1] != other[1]


def schools(frame: pd.DataFrame, **columns: str) -> Dataset:
    roles = {"group": "school", "estimate": "effect", "standard_error": "se"}
    return Dataset.from_frame(frame, {**roles, **columns})


SCHOOLS = pd.DataFrame({
    "school": list("ABCDEFGH"), "effect": [28.0, 8, -3, 7, -1, 1, 18, 12], "se": [15.0, 10, 16, 11, 9, 11, 10, 18],
    "other": [15.0, 10, 16, 11, 9, 11, 10, 19],
})  # fmt: skip


def test_a_label_a_column_and_a_row_change_every_identity() -> None:
    family = example("normal_means")[0]
    here = identity(job(family, schools(SCHOOLS)))
    renamed = schools(SCHOOLS.assign(school=list("ABCDEFGI")))
    swapped = schools(SCHOOLS.assign(school=list("BACDEFGH")))  # the same labels, of other rows
    for other in (renamed, swapped, schools(SCHOOLS[:7]), schools(SCHOOLS, standard_error="other")):
        there = identity(job(family, other))
        assert there[0] != here[0]
        assert there[1] != here[1]
    # A row that was taken out by a refit is not in its data either.
    whole = job(family, schools(SCHOOLS))
    less = whole.table.without([2])
    assert data_hash(family, whole.variant, less, family.stan_data(less, whole.priors, whole.variant)) != here[0]


@pytest.mark.parametrize("name", families())
def test_the_order_of_rows_counts_for_draws_but_not_for_a_posterior_whose_parameters_bear_labels(name: str) -> None:
    family, dataset = small(name)
    if family.terms:  # unsaid, the level of the first row is the one that others are compared with
        levels = job(family, dataset).table.categories
        dataset = replace(dataset, reading=replace(dataset.reading, levels=levels))
    table = dataset.table
    order = np.random.default_rng(1).permutation(table.n_rows)
    frame = pd.DataFrame({n: [table.column(n)[int(i)] for i in order] for n in table.names})
    here, there = (identity(job(family, d)) for d in (dataset, again(frame, dataset)))
    assert there[0] == here[0]
    assert there[1] != here[1]


def test_names_of_units_and_of_predictors_count() -> None:
    family, dataset = small("nested_normal")
    unit = dataset.column("unit")
    frame = pd.DataFrame({n: list(dataset.table.column(n)) for n in dataset.table.names})
    here = identity(job(family, Dataset.from_frame(frame, dataset.columns)))
    frame[unit] = [f"{label}x" for label in frame[unit]]
    there = identity(job(family, Dataset.from_frame(frame, dataset.columns)))
    assert there[0] != here[0]
    assert there[1] != here[1]
    family, dataset = small("linear_regression")
    (column, *_) = dataset.listed("predictors")
    frame = pd.DataFrame({n: list(dataset.table.column(n)) for n in dataset.table.names}).rename(
        columns={column: "new"}
    )
    columns = {r: "new" if c in (column, (column,)) else c for r, c in dataset.columns.items()}
    assert identity(job(family, Dataset.from_frame(frame, columns)))[0] != identity(job(family, dataset))[0]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A family of the user's own: a number fixed in its code, and a column that is computed."""
    folder = new_family("waits", tmp_path)
    for program in folder.glob("*.stan"):
        text = program.read_text()
        program.write_text(text.replace("{ // the same", "{\n  real fixed;\n  array[6] real about; // the same", 1))
    file = folder / "family.py"
    computed = '"fixed": 2.5, "about": table["waiting_time"] - np.mean(table["waiting_time"]),'
    file.write_text(file.read_text().replace('"N": table.n_rows,', f'"N": table.n_rows, {computed}'))
    return folder


def test_of_a_family_of_ones_own_fixed_numbers_count_and_last_bits_do_not(own: Path) -> None:
    dataset = Dataset.from_frame(WAITING, {"group": "ward", "waiting_time": "wait"})
    family = read_family(own)
    here = job(family, dataset)
    assert "about" in here.data
    for way in PROCESSORS:
        assert identity(job(elsewhere(family, way), dataset)) == identity(here)
    # Its parameters may be counted, and then the order of rows is a part.
    backwards = Dataset.from_frame(WAITING[::-1], dataset.columns)
    assert identity(job(family, backwards))[0] != identity(here)[0]
    for old, new in (("2.5,", "2.50000001,"), ("- np.mean", "- 1.0001 * np.mean")):
        file = own / "family.py"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        there = identity(job(read_family(own), dataset))
        assert there[0] != identity(here)[0]
        assert there[1] != identity(here)[1]
        file.write_text(text)


def test_priors_of_the_analysis_count_to_the_last_digit_and_default_ones_to_nine() -> None:
    family, dataset = small("normal_means")
    chosen = {"mu": "normal(0, 5)", "tau": "half_normal(5)"}
    here = job(family, dataset, priors=chosen)
    held = reference_of(here)
    assert set(held.priors) == {"mu", "tau"}
    there = job(family, dataset, priors={**chosen, "tau": "half_normal(5.0000000000000009)"})
    assert there.key != here.key
    assert matches(there, held)  # the figures of a reference do not show that
    for other in ("half_normal(5.00000001)", "half_normal(5.001)", "half_cauchy(5)"):
        there = job(family, dataset, priors={**chosen, "tau": other})
        assert there.key != here.key
        with pytest.raises(ModelError, match=r"other priors: tau was half_normal\(5\), is half_"):
            matches(there, held)


@pytest.mark.usefixtures("stanli")
def test_a_fit_without_some_rows_is_known_again_too() -> None:
    family, dataset = small("planck")
    here = job(family, dataset, "no_pooling")
    fit = Fit(
        family=family, variant=here.variant, table=here.table, data=here.data, priors=here.priors,
        sampling=here.sampling, engine="stanli", engine_version="", named=NamedTree({}), key=here.key,
        program_sha256="", seconds=0.0, reused=False, reason="",
    )  # fmt: skip
    there = replace(fit, family=elsewhere(family, math.inf))
    assert job_without(fit, [0]).key == job_without(there, [0]).key
    assert job_without(fit, [0]).key != job_without(fit, [1]).key


def test_the_reference_of_another_file_and_of_the_same_file_read_otherwise() -> None:
    family = example("normal_means")[0]
    own_job = job(family, schools(SCHOOLS))
    held = reference_of(own_job)
    other = schools(SCHOOLS, standard_error="other")
    known = {**held.data, "rows": 8, "file_sha256": other.sha256}
    with pytest.raises(ModelError, match="the file is the same, byte for byte, but it is read in another way: columns"):
        matches(job(family, other), replace(held, data=known))
    with pytest.raises(ModelError, match="8 rows then, 7 now; values, labels or numbers that the family fixes differ"):
        matches(job(family, schools(SCHOOLS[:7])), replace(held, data=known))


# Rounding


@pytest.mark.parametrize("x", [1 / 1024, 2.0**-18, 0.1, 123456789.5, 1e300, 5e-324, -7 / 8192, 999999999.5, 0.0, 12.35])
def test_a_last_bit_moves_no_number_over_a_half(x: float) -> None:
    for way in PROCESSORS:
        assert same_number(x, math.nextafter(x, way))
    assert abs(x) < 1e-300 or abs(nine_digits(x) - x) <= 5.1e-9 * abs(x)


def test_nine_digits_are_kept_and_the_tenth_is_not() -> None:
    assert nine_digits(1.23456789049) == 1.23456789
    assert nine_digits(1.2345678951) == 1.2345679
    assert not same_number(1.23456789, 1.23456788)
    assert same_number(-0.0, 0.0)
    assert math.copysign(1, nine_digits(-0.0)) == 1
    assert to_nine_digits(np.array([[1 / 3, 2.0], [3.0, 1e-17]])) == [[0.333333333, 2.0], [3.0, 0.0]]
    assert to_nine_digits([1e-17, 0.0]) == [1e-17, 0.0]
    assert to_nine_digits(np.array([1, 2])) == [1, 2]
    assert to_nine_digits(3) == 3


def test_arrays_are_rounded_number_by_number() -> None:
    rng = np.random.default_rng(8)
    fractions, whole = rng.normal(size=300) * 10.0 ** rng.integers(-12, 12, 300), rng.integers(-5, 5, 300).astype(float)
    for values in (fractions, whole, 1e9 * whole, np.repeat(fractions, 40), np.array([math.nan, math.inf, -0.0, 0.5])):
        finite = np.abs(values[np.isfinite(values)])
        least = 50 * 2.0**-52 * finite.max()
        plain = [0.0 if abs(x) < least else nine_digits(x) for x in values.tolist()]
        for _ in range(2):  # the second time as it is remembered
            rounded = to_nine_digits(values.reshape(2, -1))
            np.testing.assert_array_equal(np.array(rounded).ravel(), plain)
            assert not np.signbit(np.array(rounded).ravel()[np.array(plain) == 0]).any()
    assert to_nine_digits([math.inf, 2.0]) == [math.inf, 2.0]


def test_defaults_are_rounded_the_same_way_on_every_machine() -> None:
    for x in (0.125, 2.5, 0.0625 * 1e3):
        assert len({two_digits(y) for y in (x, math.nextafter(x, 0), math.nextafter(x, 99))}) == 1
    for x in (12.35, 0.125, -3.05):
        assert len({to_decimals(y, 1) for y in (x, math.nextafter(x, -99), math.nextafter(x, 99))}) == 1
    assert (two_digits(0.126), to_decimals(12.36, 1), to_decimals(-3.05, 0)) == (0.13, 12.4, -3)


def test_what_is_made_of_ratios_and_limits_counts_to_nine_digits_and_their_cells_to_the_last() -> None:
    family = example("normal_means")[0]
    frame = pd.DataFrame({"trial": list("ABC"), "ratio": [0.41, 0.2, 0.26], "low": [0.13, 0.09, 0.07]})
    frame["high"] = frame["ratio"] ** 2 / frame["low"]
    columns = {"group": "trial", "estimate": "ratio", "lower": "low", "upper": "high"}
    here = job(family, Dataset.from_frame(frame, columns, log_scale=True))
    for way in PROCESSORS:
        values = {name: moved(value, way) for name, value in here.table.values.items()}
        table = replace(here.table, values=values)
        there = replace(here, table=table, data=family.stan_data(table, here.priors, here.variant))
        assert not np.array_equal(there.data["y"], here.data["y"])
        assert identity(there) == identity(here)
    for other in (
        Dataset.from_frame(frame, columns, log_scale=True, level=0.9), Dataset.from_frame(frame, columns),
        Dataset.from_frame(frame.assign(high=frame["high"] * (1 + 1e-13)), columns, log_scale=True),
    ):  # fmt: skip
        there = job(family, other)
        assert identity(there)[0] != identity(here)[0]
        assert identity(there)[1] != identity(here)[1]
