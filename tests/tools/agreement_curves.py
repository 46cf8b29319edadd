"""Hand-run: how often posteriors that are right, or moved by a tenth of an sd, are called moved. Both figures of
reports/truth.md, from 200 seeds of eight schools (half-Cauchy(25) prior of tau) at several lengths of chains.

    python tests/tools/agreement_curves.py reports/sample/agreement.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import plotnine as p9
from scipy.stats import binom, norm

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in (".", "oracles"))
import quadrature
from test_agreement import NAMES, exact
from test_truth import PRIORS, dataset, priors

from hbm_stan.agreement import STATISTICS, compare_with_reference, threshold
from hbm_stan.diagnose import summarise
from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.families import family
from hbm_stan.fit import jobs_of
from hbm_stan.mixing import QUANTILES
from hbm_stan.plots.save import figure_bytes
from hbm_stan.plots.style import CHAIN_COLOURS

SEEDS = 200
LENGTHS = (125, 250, 500, 1000, 2000, 4000)
ERRORS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


def main(target: Path) -> None:
    tau, arguments, mu = PRIORS["Gelman 2006"]
    truth = exact(quadrature.exact(tau, arguments, mu).summaries())
    model, engine = family("normal_means"), StanliEngine()
    job = jobs_of(model, dataset(), ["partial_pooling"], priors(tau, arguments, mu), Sampling(), engine)[0]
    alarms, power = [], []
    for length in LENGTHS:
        largest: dict[str, list[float]] = {"as compared here": [], "each over its own MCSE": []}
        caught, implied, ess = 0, [], []
        for seed in range(SEEDS):
            drawn = engine.sample(job.program, job.data, Sampling(draws=length, adapt_delta=0.95, seed=seed)).variables
            draws = np.concatenate([drawn["mu"][None], drawn["tau"][None], np.moveaxis(drawn["theta"], 2, 0)])
            comparison = compare_with_reference(NAMES, draws, truth)
            largest["as compared here"].append(comparison.largest)
            largest["each over its own MCSE"].append(_plain(comparison, draws, truth))
            moved = truth.copy()
            moved.loc["mu", ["mean", *QUANTILES]] += 0.1 * truth.loc["mu", "sd"]
            caught += not compare_with_reference(NAMES, draws, moved).agrees
            row = summarise(["mu"], draws[:1]).iloc[0]
            implied.append(norm.cdf(0.1 * truth.loc["mu", "sd"] / row["mcse_mean"] - threshold(50)))
            ess.append((truth.loc["mu", "sd"] / row["mcse_mean"]) ** 2)
        alarms += [
            {"draws": 4 * length, "quantiles": how, "error": e, "share": float(np.mean(np.array(z) > threshold(50, e)))}
            for how, z in largest.items() for e in ERRORS
        ]  # fmt: skip
        shares = {"caught": caught / SEEDS, "implied": np.mean(implied)}
        power.append({"draws": 4 * length, "ess": np.median(ess), **shares})
        print(power[-1], {how: float(np.mean(np.array(z) > threshold(50))) for how, z in largest.items()}, flush=True)
    print(pd.DataFrame(alarms).pivot_table(index=["quantiles", "draws"], columns="error", values="share").to_string())
    target.write_bytes(figure_bytes(_figure(pd.DataFrame(alarms), pd.DataFrame(power)), "png"))


def _plain(comparison: object, draws: np.ndarray, truth: pd.DataFrame) -> float:
    """The largest |z| where quantiles are divided by ArviZ's MCSE like the rest."""
    summary = summarise(NAMES, draws)
    z = [(summary[s] - truth[s]) / summary[f"mcse_{s}"] for s in STATISTICS]
    return float(np.abs(np.array(z)).max())


def _figure(alarms: pd.DataFrame, power: pd.DataFrame) -> p9.ggplot:
    shown = alarms[alarms["draws"].isin([4000, 16000])].copy()
    shown["line"] = [f"{q}, {d:,} draws" for q, d in zip(shown["quantiles"], shown["draws"], strict=True)]
    left = pd.DataFrame({"panel": "A right posterior: share refused", "x": shown["error"], "y": shown["share"],
                         "line": shown["line"]})  # fmt: skip
    band = pd.DataFrame({"panel": "A right posterior: share refused", "x": ERRORS,
                         "low": 0.0, "high": [binom.ppf(0.99, SEEDS, e) / SEEDS for e in ERRORS]})  # fmt: skip
    right = pd.concat(
        pd.DataFrame({"panel": "mu moved by 0.1 sd: share caught", "x": power["ess"], "y": power[k], "line": name})
        for k, name in (("caught", "caught"), ("implied", "implied by the effective sample size"))
    )
    points = pd.concat([left, right])
    points["panel"] = pd.Categorical(points["panel"], list(dict.fromkeys(points["panel"])))
    return (
        p9.ggplot(points, p9.aes("x", "y"))
        + p9.geom_ribbon(p9.aes("x", ymin="low", ymax="high"), band, inherit_aes=False, fill="#cccccc", alpha=0.5)
        + p9.geom_line(p9.aes(color="line"))
        + p9.geom_point(p9.aes(color="line", shape="line"))
        + p9.facet_wrap("panel", scales="free")
        + p9.scale_x_log10()
        + p9.scale_color_manual(CHAIN_COLOURS)
        + p9.labs(x="family error asked for (left), effective sample size of mu (right)", y="share of 200 seeds")
        + p9.guides(color=p9.guide_legend(ncol=3), shape=p9.guide_legend(ncol=3))
        + p9.theme_minimal()
        + p9.theme(figure_size=(9, 4.4), legend_position="bottom", legend_title=p9.element_blank())
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
