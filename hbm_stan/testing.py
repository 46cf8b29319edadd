"""What a test suite asserts of programs and posteriors; each failure says what moved, by how much, and what is allowed.

Of a family: its Stan programs against the same model in NumPy, on the embedded engine (the skeleton of
``hbm new-family`` calls these). Of fits: the same posterior, the saved reference, calibration. The pytest plugin that
comes along gives the fixture ``hbm_engine``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hbm_stan.agreement import compare_draws
from hbm_stan.calibrate import calibrate
from hbm_stan.data import Dataset
from hbm_stan.density import SHORT_RUN_SEED, SPREAD, log_density_spread, short_run
from hbm_stan.diagnose import check
from hbm_stan.diagnose import parameters as parameters_of
from hbm_stan.errors import ModelError, nearest
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.model import Family, StanData
from hbm_stan.prepare import Prepared
from hbm_stan.program import check_data
from hbm_stan.reference import Reference, data_hash, read_reference, regress
from hbm_stan.reference.match import same_prior
from hbm_stan.verify.contract import contract_faults
from hbm_stan.verify.names import Claim
from hbm_stan.verify.programs import data_block


def assert_log_density(
    family: Family, data: Dataset | Prepared, variant: str, priors: Mapping[str, str] | None = None
) -> None:
    """Assert that the program's log density is ``log_joint`` plus one constant, at random points.

    Prior only and with likelihood, where the program has ``use_likelihood``. ``priors`` replaces rows of the prior
    table, as in analysis.toml. A parameter may have bounds, offset and multiplier that are arithmetic on data; those
    of bounds that are more than that come from ``support``.
    """
    for stan_data in _stan_data(family, data, variant, priors):
        spread = log_density_spread(family.program(variant), family, variant, stan_data)
        switch = stan_data.get("use_likelihood", 1)
        assert spread < SPREAD, (
            f"{variant}, {'with the likelihood' if switch else 'prior only'}: the log density of the program minus "
            f"log_joint() is not one constant: it varies by {spread:.2g} of its size (allowed: {SPREAD:g}). A term of "
            "one of them is missing or different, or a Jacobian is."
        )


def assert_pointwise(
    family: Family, data: Dataset | Prepared, variant: str, priors: Mapping[str, str] | None = None
) -> None:
    """Assert that the program's log likelihood of each row is ``pointwise`` of the same draws."""
    *_, stan_data = _stan_data(family, data, variant, priors)
    draws = short_run(family, variant, stan_data)
    ours = family.need("pointwise", "a test of log_lik")(draws, stan_data)
    name = family.programs.log_lik
    log_lik = draws.get(name)
    assert log_lik is not None, f"{variant}: the program gives no {name}"
    assert ours.shape == log_lik.shape, f"{variant}: pointwise() has shape {ours.shape}, {name} {log_lik.shape}"
    np.testing.assert_allclose(log_lik, ours, rtol=1e-9, atol=1e-9, err_msg=f"{variant}: log_lik is not pointwise()")


def assert_replications(
    family: Family, data: Dataset | Prepared, variant: str, priors: Mapping[str, str] | None = None
) -> None:
    """Assert that the program's replicated rows and those of ``simulate`` have the same moments.

    Means and mean squares of each row, and the variance over the rows of a draw, which shows noise that rows share. Of
    the same draws, so that they differ by their own noise only; by at most five standard errors.
    """
    *_, stan_data = _stan_data(family, data, variant, priors)
    draws = short_run(family, variant, stan_data)
    ours = family.need("simulate", "a test of y_rep")(np.random.default_rng(SHORT_RUN_SEED), draws, stan_data)
    name = family.programs.y_rep
    y_rep = draws.get(name)
    assert y_rep is not None, f"{variant}: the program gives no {name}"
    assert ours.shape == y_rep.shape, f"{variant}: simulate() has shape {ours.shape}, {name} {y_rep.shape}"
    for what, by_row, difference in (
        ("mean", True, ours - y_rep),
        ("mean square", True, ours**2 - y_rep**2),
        ("variance over rows", False, (ours.var(axis=1) - y_rep.var(axis=1))[:, None]),
    ):
        se = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))
        off = np.flatnonzero(np.abs(difference.mean(axis=0)) > 5 * se + 1e-12)
        which = "rows " + ", ".join(str(i + 1) for i in off[:5]) if by_row else "outcomes"
        assert not off.size, f"{variant}: the {what} of replicated {which} is not that of simulate()"


def assert_one_data_block(family: Family) -> None:
    """Assert that all programs have the same data block, so that a diff shows the pooling assumption and no more."""
    blocks = {v.name: data_block(family.program(v.name)) for v in family.programs.variants}
    missing = [name for name, block in blocks.items() if not block]
    assert not missing, f"no data block is found in {', '.join(missing)}"
    first, *others = blocks.items()
    for name, text in others:
        assert text == first[1], f"the data blocks of {first[0]} and {name} differ"


def assert_data(family: Family, data: Dataset | Prepared, variant: str) -> None:
    """Assert that ``prepare`` gives what the data block of the program asks for."""
    for stan_data in _stan_data(family, data, variant, None):
        check_data(family.program(variant), stan_data)


def assert_contract(
    family: Family, data: Dataset | Prepared, variant: str, priors: Mapping[str, str] | None = None
) -> None:
    """Assert that names exist in the programs, and that functions agree with them and with each other.

    Names in ``population``, ``hidden``, ``dims`` and the variant's priors; ``rule``, ``transformed``, ``new_group``,
    ``group_log_lik`` and its finer form, ``draw_groups``, ``shrinkage_factor``, ``raw`` and ``new_row``, where there.
    """
    table = prepare_table(family, data) if isinstance(data, Dataset) else data
    settled = family.priors(table, priors)
    stan_data = family.stan_data(table, settled, variant)
    faults = contract_faults(
        Claim(
            family=family,
            table=table,
            variant=variant,
            priors=settled,
            data=stan_data,
            draws=short_run(family, variant, stan_data),
        )
    )
    assert not faults, f"{variant}: " + "; ".join(faults)


def assert_same_posterior(fit: Fit, other: Fit, parameters: Sequence[str] | None = None) -> None:
    """Assert that two fits are of one posterior: other engine, other parameterisation, other version, other seed.

    All parameters that both have are compared, or those named. Raises ModelError where data or priors differ, a name is
    unknown or the draws are the same, DiagnosticError where chains did not converge.
    """
    __tracebackhide__ = True  # pytest shows the caller's line and the words
    for which in (fit, other):
        check(which).require()
    _refuse_others(fit, other)
    (names, draws), (other_names, other_draws) = parameters_of(fit), parameters_of(other)
    common = [name for name in names if name in set(other_names)]
    chosen = list(parameters) if parameters is not None else common
    unknown = [name for name in chosen if name not in common]
    if unknown:
        raise ModelError(f"Not in both fits: {', '.join(unknown)}. {nearest(unknown[0], common)}")
    ours = draws[[names.index(n) for n in chosen]]
    theirs = other_draws[[other_names.index(n) for n in chosen]]
    if np.array_equal(ours, theirs):
        raise ModelError("Both fits have the same draws: that says nothing. Give one of them another seed.")
    agreement = compare_draws(chosen, ours, theirs)
    if not agreement.agrees:
        raise AssertionError(f"{fit.variant} by {fit.engine} and {other.variant} by {other.engine}: {agreement.words}")


def assert_matches_reference(fit: Fit, reference: Reference | str | Path) -> None:
    """Assert that a fit has the posterior of a reference file (``hbm reference ANALYSIS --save`` writes one).

    Raises ModelError for a reference of other data, priors or family, or one that is too coarse, DiagnosticError where
    the chains did not converge.
    """
    __tracebackhide__ = True
    held = reference if isinstance(reference, Reference) else read_reference(reference)
    comparison = regress({fit.variant: fit}, held)
    agreement = comparison.agreements[fit.variant]
    notes = "".join(f"\n{note}" for note in comparison.notes)
    if not agreement.agrees:
        raise AssertionError(f"{fit.variant} against {held.path}: {agreement.words}{notes}")


def assert_calibrated(
    family: Family | str, variant: str = "partial_pooling", *, replications: int = 200, **options: Any
) -> None:
    """Assert that simulation-based calibration finds uniform ranks; ``options`` are those of ``calibrate``.

    Raises ModelError where the family lacks a function that truths are drawn with.
    """
    __tracebackhide__ = True
    calibration = calibrate(family, variant, replications=replications, **options)
    failed = [v for v in calibration.verdicts if v.status == "fail"]
    failures = "\n".join(f"  {v.name} {v.subject}: {v.hint}" for v in failed)
    if failed:
        raise AssertionError(f"{variant}: not calibrated in {replications} replications:\n{failures}")


def _refuse_others(fit: Fit, other: Fit) -> None:
    """Raise ModelError where two fits cannot have one posterior: family, data or priors differ."""
    if fit.family.name != other.family.name:
        raise ModelError(f"The fits are of two families: {fit.family.name} and {other.family.name}.")
    if data_hash(fit.family, fit.variant, fit.table, fit.data) != data_hash(
        other.family, other.variant, other.table, other.data
    ):
        raise ModelError("The fits are of different data: values, labels or columns differ.")
    ours, theirs = (f.family.prior_texts(f.variant, f.priors) for f in (fit, other))
    changed = [f"{n} is {ours[n]} and {theirs[n]}" for n in ours if n in theirs and not same_prior(ours[n], theirs[n])]
    if changed:
        raise ModelError(f"The fits have different priors: {'; '.join(changed)}.")


def _stan_data(
    family: Family, data: Dataset | Prepared, variant: str, priors: Mapping[str, str] | None
) -> Iterator[StanData]:
    """The Stan data, prior only where the program has that switch, and then with the likelihood."""
    table = prepare_table(family, data) if isinstance(data, Dataset) else data
    stan_data = family.stan_data(table, family.priors(table, priors), variant)
    if "use_likelihood" in stan_data:
        yield stan_data | {"use_likelihood": 0}
    yield stan_data
