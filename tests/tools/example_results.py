"""A made-up analysis, built from the records of results.json: eight schools, or any number of groups with any labels.

The draws are exact (tau from its marginal posterior on a grid, then mu, then theta), so no engine is needed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.engines import Sampling
from hbm_stan.judge import Pair
from hbm_stan.nouns import GROUPS
from hbm_stan.parameterise import Choice
from hbm_stan.results.brief import PageOne, Panel
from hbm_stan.results.certified import ProgramStanding, Standing
from hbm_stan.results.data_shown import Column, Data, RowsPerGroup
from hbm_stan.results.document import SCHEMA, EngineUsed, Results
from hbm_stan.results.entry import read
from hbm_stan.results.fitted import Fitted, Parameter
from hbm_stan.results.meanings import GivenPrior
from hbm_stan.results.model import Model, ModelVariant
from hbm_stan.results.new_group import NewQuantity, Predicted
from hbm_stan.results.notices import About
from hbm_stan.results.quantities import Quantiles
from hbm_stan.results.replicated import Replicated, ReplicatedGroup, Statistic
from hbm_stan.results.reproduction import ProgramText
from hbm_stan.results.scored import PairRow, Scored, ScoreRow
from hbm_stan.results.shrunken import ShrinkageRow
from hbm_stan.sentences import clause
from hbm_stan.verdicts import Status, Verdict

CHAINS, DRAWS = 4, 1000
STAN = Path(__file__).resolve().parents[2] / "stan" / "normal_means"
VARIANTS = ("complete_pooling", "no_pooling", "partial_pooling")
_SCHOOLS = ([28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18])
_PRIORS = (
    ("mu", "normal", [0.0, 5.0], "location of the population", ["complete_pooling", "partial_pooling"]),
    ("tau", "half_cauchy", [5.0], "scale of the population: how much groups differ", ["partial_pooling"]),
    ("theta", "normal", [0.0, 50.0], "value of each group without pooling", ["no_pooling"]),
)
_ASSUMPTIONS = {
    "complete_pooling": ("All groups share one value; they differ by measurement error only.", ["theta_j = mu"]),
    "no_pooling": ("Groups share nothing; each has its own fixed, wide prior.", ["theta_j tilde p(theta)"]),
    "partial_pooling": (
        "Groups are draws from one population, whose location and scale are learnt from all of them.",
        ['theta_j tilde "normal"(mu, tau)', "mu tilde p(mu), quad tau tilde p(tau)"],
    ),
}


def example_table(n_groups: int = 8, labels: Sequence[str] | None = None) -> pd.DataFrame:
    """Columns group, estimate, standard_error: eight schools repeated with noise as often as needed."""
    rng = np.random.default_rng(8)
    y, se = (np.resize(np.array(v, dtype=float), n_groups) for v in _SCHOOLS)
    if n_groups > 8:
        y = np.round(rng.normal(8, np.hypot(se, 6)), 1)
    names = list(labels or [])
    alphabet = [chr(65 + i) for i in range(26)]
    names += [alphabet[i] if n_groups <= 26 else f"School {i + 1}" for i in range(len(names), n_groups)]
    return pd.DataFrame({"group": names, "estimate": y, "standard_error": se})


def example_draws(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Posterior draws of mu, tau, theta (partial pooling), mu_complete, theta_no, new group and replications."""
    rng = np.random.default_rng(1981)
    y, se = table["estimate"].to_numpy(), table["standard_error"].to_numpy()
    grid = np.linspace(0.01, 60, 1500)
    precision = 1 / (se**2 + grid[:, None] ** 2)
    v_mu = 1 / (precision.sum(1) + 1 / 25)
    m_mu = v_mu * (precision * y).sum(1)
    log_p = 0.5 * (np.log(v_mu) + np.log(precision).sum(1) + m_mu**2 / v_mu - (precision * y**2).sum(1))
    log_p -= np.log1p((grid / 5) ** 2)
    at = rng.choice(len(grid), CHAINS * DRAWS, p=np.exp(log_p - log_p.max()) / np.exp(log_p - log_p.max()).sum())
    tau = grid[at] * np.exp(rng.normal(0, 0.005, at.size))
    mu = rng.normal(m_mu[at], np.sqrt(v_mu[at]))
    w = tau[:, None] ** 2 / (tau[:, None] ** 2 + se**2)
    theta = mu[:, None] + w * (y - mu[:, None]) + tau[:, None] * np.sqrt(1 - w) * rng.normal(size=w.shape)
    v_c = 1 / ((1 / se**2).sum() + 1 / 25)
    v_n = 1 / (1 / se**2 + 1 / 2500)
    new = rng.normal(mu, tau)
    return {
        "mu": mu,
        "tau": tau,
        "theta": theta,
        "factor": (1 - w).mean(0),
        "mu_complete": rng.normal(v_c * (y / se**2).sum(), math.sqrt(v_c), mu.size),
        "theta_no": rng.normal(v_n * y / se**2, np.sqrt(v_n), theta.shape),
        "theta_new": new,
        "y_new": rng.normal(new, 12.0),
        "y_rep": rng.normal(theta, se),
    }


@cache
def _sample(n_groups: int, labels: tuple[str, ...]) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    table = example_table(n_groups, labels)
    return table, example_draws(table)


def _summary(x: np.ndarray, tail: float = 1.4) -> dict[str, float]:
    q05, q50, q95 = (float(q) for q in np.quantile(x, (0.05, 0.5, 0.95)))
    sd, ess = float(x.std(ddof=1)), 3800.0 + 100 * math.sin(float(x[0]))
    mcse = sd / math.sqrt(ess)
    return {
        "mean": float(x.mean()), "sd": sd, "mcse_mean": mcse, "mcse_sd": mcse * 0.7,
        "q05": q05, "q50": q50, "q95": q95,
        "mcse_q05": mcse * tail * 1.5, "mcse_q50": mcse * 1.25, "mcse_q95": mcse * tail * 1.5,
        "ess_bulk": ess, "ess_tail": ess * 0.93, "rhat": 1.0004 + 0.001 * abs(math.sin(float(x[1]))),
    }  # fmt: skip


def _parameters(draws: dict[str, np.ndarray], groups: Sequence[str], variant: str) -> dict[str, Parameter]:
    if variant == "complete_pooling":
        return {"mu": Parameter(**_summary(draws["mu_complete"]))}
    theta = draws["theta_no" if variant == "no_pooling" else "theta"]
    population = {} if variant == "no_pooling" else {n: Parameter(**_summary(draws[n])) for n in ("mu", "tau")}
    return population | {f"theta[{g}]": Parameter(**_summary(theta[:, j])) for j, g in enumerate(groups)}


def _verdict(name: str, value: float, threshold: float, status: Status = "pass", **more: Any) -> Verdict:
    return Verdict(name=name, status=status, value=value, threshold=threshold, **more)


def _fit(draws: dict[str, np.ndarray], groups: Sequence[str], variant: str, failed: bool) -> Fitted:
    parameters = _parameters(draws, groups, variant)
    worst = max(parameters, key=lambda n: parameters[n].rhat)
    hint = "79 divergences; 71 of them where log tau is in its lowest 5 %: a funnel. Use partial_pooling_noncentered."
    verdicts = [
        _verdict("finite draws", 0, 0),
        _verdict("moving chains", 0, 0),
        _verdict("R-hat", parameters[worst].rhat, 1.01, subject=worst),
        _verdict("bulk ESS", 3712.4, 400, subject=worst),
        _verdict("tail ESS", 3502.9, 400, subject=worst),
        _verdict("MCSE", 0.0162, 0.05, subject=worst),
        _verdict("divergences", 79 if failed else 0, 0, "fail" if failed else "pass", hint=hint if failed else ""),
        _verdict("tree depth", 0, 0),
        _verdict("E-BFMI", 0.912, 0.3, subject="chain 3"),
        _verdict("number of chains", 4, 4),
        _verdict("warm-up", 1000, 150),
    ]
    return Fitted(
        status="fail" if failed else "pass", seconds=0.31, key=_sha(variant)[:16], program_sha256=_sha(_code(variant)),
        adapt_delta=0.9, earlier=[], attempts="", divergences=79 if failed else 0, direct=None, not_direct="",
        verdicts=verdicts, parameters=parameters,
    )  # fmt: skip


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _code(variant: str) -> str:
    return (STAN / f"{variant}.stan").read_text(encoding="utf-8")


def _scores(variants: Sequence[str], n: int) -> list[ScoreRow]:
    keys = ("variant", "elpd", "se", "elpd_diff", "se_diff", "se_diff_used", "p_loo", "pareto_k_max", "route",
            "route_kind", "bootstrap")  # fmt: skip
    rows = [
        ("complete_pooling", -30.12 * n / 8, 1.08, 0.0, 0.0, 0.0, 0.6, 0.21, "PSIS", "psis", None),
        ("partial_pooling", -30.48 * n / 8, 1.21, -0.36, 0.21, 0.42, 1.1, 0.44,
         "PSIS, group effects integrated out", "psis_integrated", [-0.6, -0.1, 0.97]),
        ("no_pooling", -39.23 * n / 8, 0.19, -9.11, 1.06, 2.12, 7.3, None, "exact", "exact", [-10.8, -7.6, 1.0]),
    ]  # fmt: skip
    return [
        ScoreRow(
            **dict(zip(keys, r, strict=True)), pareto_k_high=0, weight=None, weight_bma=None, prior="", reading="",
            mcse=0.0, mcse_diff=0.0, repaired=0, unrepaired=[], ranked=True,
        )
        for r in rows if r[0] in variants
    ]  # fmt: skip


def _comparison(variants: Sequence[str], n: int) -> Scored | None:
    if len(variants) < 2:
        return None
    pairs = [
        Pair(better="complete_pooling", other="partial_pooling", kind="alike", reason="", elpd_diff=0.36,
             se_diff_used=0.42, mcse_diff=0.0, n_units=n, n_groups=n, bootstrap=(0.1, 0.6, 0.03)),
        Pair(better="complete_pooling", other="no_pooling", kind="better_here", reason="few", elpd_diff=9.11,
             se_diff_used=2.12, mcse_diff=0.0, n_units=n, n_groups=n, bootstrap=(7.6, 10.8, 0.0),
             rests_on=(("C", 0.3), ("A", 0.25))),
    ]  # fmt: skip
    return Scored(
        unit="observation", target="the estimate of a group that was not seen", n_observations=n, n_units=n,
        scores=_scores(variants, n), repairs=[], verdict=[f"{clause(pair, GROUPS).capitalize()}." for pair in pairs],
        pairs=[read(PairRow, pair.as_dict()) for pair in pairs], withheld_because=[], notes=[], withheld=False,
        k_threshold=0.7,
    )  # fmt: skip


def _quantity(name: str, meaning: str, x: np.ndarray) -> NewQuantity:
    q25, q75 = (float(q) for q in np.quantile(x, (0.25, 0.75)))
    return NewQuantity(
        name=name, meaning=meaning, q25=q25, q75=q75, p_positive=float((x > 0).mean()), sign=True, **_summary(x)
    )


def _shrinkage(table: pd.DataFrame, draws: dict[str, np.ndarray], variants: Sequence[str]) -> list[ShrinkageRow]:
    rows = []
    complete = float(draws["mu_complete"].mean()) if "complete_pooling" in variants else math.nan
    for j, row in enumerate(table.itertuples()):
        partial, no = _summary(draws["theta"][:, j]), float(draws["theta_no"][:, j].mean())
        quartiles = _quartiles(draws["theta"][:, j])
        rows.append(ShrinkageRow(
            group=row.group, term="", raw=row.estimate, raw_se=row.standard_error, complete_pooling=complete,
            no_pooling=no if "no_pooling" in variants else math.nan,
            partial_pooling=partial["mean"], sd=partial["sd"], mcse_mean=partial["mcse_mean"],
            **quartiles, factor=float(draws["factor"][j]),
        ))  # fmt: skip
    return rows


def _quartiles(x: np.ndarray) -> dict[str, float]:
    return dict(zip(("q05", "q25", "q50", "q75", "q95"), np.quantile(x, (0.05, 0.25, 0.5, 0.75, 0.95)), strict=True))


def _ppc(table: pd.DataFrame, draws: dict[str, np.ndarray], variant: str) -> Replicated:
    y_rep, y = draws["y_rep"], table["estimate"].to_numpy()
    groups = [
        ReplicatedGroup(group=row.group, observed=row.estimate, **_quartiles(y_rep[:, j]))
        for j, row in enumerate(table.itertuples())
    ]
    statistics = []
    for name, f in (("mean", np.mean), ("sd", np.std), ("min", np.min), ("max", np.max)):
        rep, observed = f(y_rep, axis=1), float(f(y))
        low, q05, q95, high = np.quantile(rep, (0.0005, 0.05, 0.95, 0.9995))
        p = float((rep >= f(y)).mean())
        statistics.append(Statistic(
            name=name, kind=name, observed=observed, replicated_mean=float(rep.mean()), q05=q05, q95=q95, p_value=p,
            p_two_sided=min(1.0, 2 * min(p, 1 - p)), low=low, high=high,
        ))  # fmt: skip
    return Replicated(
        variant=variant, statistics=statistics, groups=groups, rows=[],
        note="Replications keep the same groups and standard errors.", quantity="outcome",
    )  # fmt: skip


def _data(table: pd.DataFrame) -> Data:
    roles = (("group", "school", "school", ""),
             ("estimate", "effect", "estimated effect of coaching on the SAT verbal score", "points"),
             ("standard_error", "se", "standard error of the estimated effect", "points"))  # fmt: skip
    return Data(
        name="eight_schools", title="Coaching for the SAT in eight schools",
        source="Rubin, D. B. (1981). Estimation in parallel randomized experiments. Journal of Educational "
               "Statistics 6, 377-401. Rounded as in Gelman et al. (2013), Bayesian Data Analysis, table 5.2.",
        sha256="23285fba0b49ea92941ba47bc30a67ba1bd5b3db971160973052f87130c5973a",
        n_rows=len(table), n_unseen=0, n_groups=len(table), rows_per_group=RowsPerGroup(least=1, median=1.0, most=1),
        columns=[Column(role=role, column=name, meaning=meaning, unit=unit) for role, name, meaning, unit in roles],
        unit="points", quantity_unit="points", observed="outcome", observed_unit="points", groups=[], noun=GROUPS,
        notes=["One row a group: the standard errors are taken as known."],
        verdicts=[_verdict("number of groups", len(table), 5), _verdict("groups of one row", len(table), 0)],
        rows=table.head(60).rename(columns=dict(r[:2] for r in roles)).to_dict("records"),
    )  # fmt: skip


def _model(variants: Sequence[str]) -> Model:
    rows = []
    for name in variants:
        assumption, lines = _ASSUMPTIONS[name]
        rows.append(ModelVariant(
            name=name, title=name.replace("_", " ").capitalize(), pooling=name.split("_")[0], math=lines,
            parameterisation="marginal" if name == "partial_pooling" else "the parameters themselves",
            assumption=assumption,
        ))  # fmt: skip
    return Model(
        title="Normal means: one estimate with a known standard error for each group",
        formula="", words=[], quantity="value", meanings={},
        citation="Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 5.4 and 5.5; Rubin (1981).",
        likelihood=['y_j tilde "normal"(theta_j, "se"_j), quad j = 1, dots, J'], variants=rows,
    )  # fmt: skip


def _priors(variants: Sequence[str]) -> list[GivenPrior]:
    rows = [
        GivenPrior(
            name=name, distribution=distribution, arguments=arguments,
            text=f"{distribution}({', '.join(f'{a:g}' for a in arguments)})", meaning=meaning, unit="points",
            reason="chosen in the analysis file", default=False, variants=[v for v in used if v in variants],
        )
        for name, distribution, arguments, meaning, used in _PRIORS
    ]  # fmt: skip
    return [r for r in rows if r.variants]


_TITLE = "Does coaching raise SAT scores, and by how much in a new school?"
_QUESTION = (
    "Eight schools ran the same coaching programme for the verbal part of the SAT. How large is its effect on average, "
    "how much does it differ between schools, and what should a ninth school expect?"
)
_WITHHELD = [
    "No conclusion is drawn: a check of partial pooling failed and was not waived.",
    "79 of 4000 transitions diverged, most of them where tau is small: the draws miss a part of the posterior.",
]


def example_results(
    n_groups: int = 8,
    labels: Sequence[str] | None = None,
    withheld: bool = False,
    variants: Sequence[str] = VARIANTS,
) -> dict[str, Any]:
    """The content of results.json with ``n_groups`` groups; given labels come first."""
    table, draws = _sample(n_groups, tuple(labels or ()))
    partial = "partial_pooling" in variants
    answer = [
        f"On average the effect is {draws['mu'].mean():.1f} points; the 90 % interval of mu is "
        f"{np.quantile(draws['mu'], 0.05):.0f} to {np.quantile(draws['mu'], 0.95):.0f} points.",
        f"Groups differ by a standard deviation tau of about {np.median(draws['tau']):.0f} points.",
        "A new group should expect an effect between the ends of the interval given in the table.",
    ]
    new = [
        _quantity("theta_new", "true value of a new group", draws["theta_new"]),
        _quantity("y_new", "estimate of a new group with standard error 12", draws["y_new"]),
    ]
    note = "With few groups the prior of tau decides how far a new group may lie from the others."
    main = "partial_pooling" if partial else variants[0]
    panels = _panels(draws) if partial else []
    comparison = [] if withheld or len(variants) < 2 else ["Both predict alike."]
    results = Results(
        schema=SCHEMA, analysis="eight_schools", family="normal_means", title=_TITLE, question=_QUESTION,
        status="fail" if withheld else "pass", withheld=withheld, answer=_WITHHELD if withheld else answer,
        page_one=PageOne(sentences=[] if withheld else answer, numbers=[], panels=panels, comparison=comparison),
        notices=["With 8 groups, tau is learnt from few values: its prior matters."], notices_about=[About.GROUPS],
        main_variant=main, engine=EngineUsed(name="stanli", version="0.24.0"),
        settings=Sampling(chains=CHAINS, warmup=1000, draws=DRAWS, adapt_delta=0.9, max_treedepth=10, seed=20261121),
        data=_data(table), model=_model(variants), priors=_priors(variants),
        fits={v: _fit(draws, list(table["group"]), v, withheld and v == variants[-1]) for v in variants},
        comparison=_comparison(variants, n_groups), group_comparison=None, sensitivity=None,
        population=["mu", "tau"] if partial else ["mu"],
        new_group=Predicted(quantities=new, note=note, n_draws=CHAINS * DRAWS, signed=True) if partial else None,
        ratios=None, coefficients=None, variance_shares=None, r_squared=None, conditional_effects=[], caterpillars=[],
        shrinkage=_shrinkage(table, draws, variants) if partial else [],
        shrinkage_notes=["A group moved far is not always a small one: its distance from mu counts as well."],
        ppc=_ppc(table, draws, main), loo_pit=None, calibration=None, findings=[],
        prior_check=[Statistic(name="mean", kind="mean", observed=8.75, replicated_mean=0.1, q05=-12.4, q95=12.9,
                               p_value=0.4, p_two_sided=0.8, low=-25.0, high=26.0)] if partial else [],
        parameterisation=Choice(variant="partial_pooling", reason="The default form."),
        versions={"hbm_stan": "0.1.0", "python": "3.13.9", "stanli": "0.24.0", "arviz": "1.3.0", "numpy": "2.5.5"},
        programs=[ProgramText(variant=v, file=f"{v}.stan", sha256=_sha(_code(v)), code=_code(v), source=_code(v))
                  for v in variants],
        certificate=Standing(date="2026-11-20", engine="stanli 0.24.0", of="that comes along", programs=[
            ProgramStanding(variant=v, sha256=_sha(_code(v)), certified=True, failed=False, words=_CERTIFIED)
            for v in variants]),
        appendix="short", command="hbm report reports/eight_schools",
    )  # fmt: skip
    return results.for_json()


_CERTIFIED = "certified: log density (spread 3e-14), pointwise, quadrature on 2026-11-20 with stanli 0.24.0"


def _panels(draws: dict[str, np.ndarray]) -> list[Panel]:
    def row(x: np.ndarray) -> Quantiles:
        summary = _summary(x)
        own = {key: summary[key] for key in ("mcse_q05", "mcse_q50", "mcse_q95")}
        return Quantiles(**_quartiles(x), **own, p_above=float((x > 0).mean()))

    return [Panel(term="", words="effect", unit="points", place="", average=row(draws["mu"]),
                  new=row(draws["theta_new"]))]  # fmt: skip


def _rank_table(draws: dict[str, np.ndarray], group: str) -> pd.DataFrame:
    parts, bins = [], 20
    for name, x in (("mu", draws["mu"]), ("tau", draws["tau"]), (f"theta[{group}]", draws["theta"][:, 0])):
        ranks = x.argsort().argsort() * bins // x.size
        counts = [np.bincount(part, minlength=bins) for part in ranks.reshape(CHAINS, DRAWS)]
        for chain, count in enumerate(counts, start=1):
            parts.append(pd.DataFrame({"parameter": name, "chain": chain, "bin": range(bins), "count": count}))
    return pd.concat(parts, ignore_index=True).assign(expected=DRAWS / bins, low=30, high=71)


def _energy_table() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    parts = []
    for chain in range(1, CHAINS + 1):
        for kind, scale in (("marginal", 2.0), ("transition", 1.8)):
            value = scale * (rng.gamma(4, size=DRAWS) - 4) / 2
            parts.append(pd.DataFrame({"chain": chain, "kind": kind, "value": value}))
    return pd.concat(parts, ignore_index=True)


def example_tables(n_groups: int = 8, labels: Sequence[str] | None = None) -> dict[str, pd.DataFrame]:
    """The tables that the figures draw, by figure; ``population_priors`` and ``new_group_quantities`` beside."""
    table, draws = _sample(n_groups, tuple(labels or ()))
    results = example_results(n_groups, labels)
    x = np.linspace(-30, 60, 400)
    mu_prior = np.exp(-0.5 * (x / 5) ** 2) / (5 * math.sqrt(2 * math.pi))
    tau_prior = np.where(x >= 0, 2 / (math.pi * 5 * (1 + (x / 5) ** 2)), np.nan)
    ess = [
        (name, kind, row[f"ess_{kind}"])
        for name, row in results["fits"]["partial_pooling"]["parameters"].items()
        for kind in ("bulk", "tail")
    ]
    population = pd.concat([pd.DataFrame({"parameter": n, "value": draws[n]}) for n in ("mu", "tau")])
    new = pd.concat([pd.DataFrame({"name": n, "value": draws[n]}) for n in ("theta_new", "y_new")])
    priors = [pd.DataFrame({"parameter": n, "x": x, "density": d}) for n, d in (("mu", mu_prior), ("tau", tau_prior))]
    return {
        "shrinkage": pd.DataFrame(results["shrinkage"]),
        "population": population, "population_priors": pd.concat(priors),
        "new_group": new, "new_group_quantities": pd.DataFrame(results["new_group"]["quantities"]),
        "ppc": pd.DataFrame(results["ppc"]["groups"]),
        "comparison": pd.DataFrame(results["comparison"]["scores"]),
        "ranks": _rank_table(draws, str(table["group"][0])), "energy": _energy_table(),
        "ess": pd.DataFrame(ess, columns=["parameter", "kind", "ess"]),
    }  # fmt: skip


def example_figures(n_groups: int = 8, labels: Sequence[str] | None = None) -> dict[str, Any]:
    """All figures, by name."""
    from hbm_stan import plots

    t = example_tables(n_groups, labels)
    rows = t["shrinkage"].assign(raw_low=lambda r: r["raw"] - r["raw_se"], raw_high=lambda r: r["raw"] + r["raw_se"])
    return {
        "answer": plots.plot_answer([example_results(n_groups, labels)["page_one"]["panels"][0] | {"groups": rows}]),
        "shrinkage": plots.plot_shrinkage(t["shrinkage"], "points"),
        "population": plots.plot_population(t["population"], t["population_priors"], "points"),
        "new_group": plots.plot_new_group(t["new_group"], t["new_group_quantities"], "points"),
        "ppc": plots.plot_ppc(t["ppc"], "points"),
        "ranks": plots.plot_ranks(t["ranks"]),
        "energy": plots.plot_energy(t["energy"]),
        "ess": plots.plot_ess(t["ess"], 400),
    }


@cache
def example_svgs() -> dict[str, bytes]:
    """The figures of eight schools as SVG."""
    from hbm_stan.plots import save_svg

    return {name: save_svg(figure) for name, figure in example_figures().items()}
