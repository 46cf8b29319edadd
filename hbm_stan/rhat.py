"""The R-hat rule that knows how large R-hat gets by chance.

A converged parameter's R-hat exceeds 1.01 often where its effective sample size is small, and the largest of thousands
of R-hats almost always does. The limit by chance follows from the F distribution behind R-hat: with m split chains and
effective sample size S, 2 S (R-hat - 1) is close to chi-square with m - 1 degrees of freedom. R-hat here is the larger
of two (bulk and folded). Measured on converged AR(1) chains: 99.9 % of R-hats below 1.035, 1.022, 1.016, 1.010, 1.006
at ESS 400, 603, 823, 1339, 2161; this rule gives 1.033, 1.022, 1.016, 1.010, 1.006. Above 1.01 were 37 %, 13 %, 3 % and
0.07 % of the first four; this rule says 43 %, 14 %, 3 % and 0.05 %.

The effective sample size of spreads counts too: R-hat looks at distances from the median as well, and those of draws
that swing about their mean, as the sampler's often do, have a far smaller one than the draws. 73,421 rows of 4,100
coefficients: bulk ESS 7,375 and tail ESS 2,992 beside 1,611, and an R-hat of 1.0105 that is chance by the last alone.

Where the effective sample size is below 100 for each chain, chance is no excuse: chains that do not mix have a small
effective sample size for that very reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hbm_stan.later import chdtrc, chdtri
from hbm_stan.mixing import ess_spread
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import Verdict

# Vehtari et al. (2021), 10.1214/20-BA1221.
GOOD_RHAT = 1.01
# Above this no sample size is an excuse (brms warns here).
BAD_RHAT = 1.05
# Chance that a converged set of parameters is called unconverged by the band.
FAMILY_ERROR = 0.001
# Vehtari et al. (2021), section 4.1: bulk and tail ESS above 100 for each chain.
MIN_ESS_PER_CHAIN = 100
# Bulk and folded R-hat are correlated: together they exceed 1.01 as often as 1.4 independent ones (shares above).
_TESTS = 1.4


def exceedance(rhat: float, ess: FloatArray, chains: int) -> FloatArray:
    """P(R-hat > ``rhat``) by chance, given convergence, for each effective sample size."""
    single = chdtrc(2 * chains - 1, 2 * np.asarray(ess) * (rhat - 1))
    return np.asarray(1 - (1 - single) ** _TESTS)


def band(ess: FloatArray, chains: int, n_parameters: int) -> FloatArray:
    """The R-hat that ``n_parameters`` converged parameters stay below with probability 0.999."""
    tail = FAMILY_ERROR / (2 * n_parameters)
    return np.asarray(1 + chdtri(2 * chains - 1, tail) / (2 * np.asarray(ess)))


def check_rhat(
    names: Sequence[str], figures: Mapping[str, FloatArray], chains: int, draws: FloatArray | None = None
) -> Verdict:
    """Fail above 1.05, not computable, or above the band of chance; draw more between 1.01 and the band; else pass.

    ``figures`` of each name: ``rhat``, ``ess_bulk`` and ``ess_tail``, (parameter,). ``draws`` (parameter, chain, draw)
    are those that they are of, for the effective sample size of their spreads.
    """
    rhat, bulk, tail = (np.asarray(figures[name]) for name in ("rhat", "ess_bulk", "ess_tail"))
    finite = np.isfinite(rhat)
    if not finite.all():
        subject = names[int(finite.argmin())]
        why = "one chain only" if chains == 1 else "all draws equal, or not finite"
        return Verdict(
            name="R-hat",
            status="fail",
            value=None,
            threshold=GOOD_RHAT,
            hint=f"R-hat cannot be computed for {subject} ({why}).",
            subject=subject,
        )
    subject, value = names[int(rhat.argmax())], float(rhat.max())
    if value <= GOOD_RHAT:
        return Verdict(name="R-hat", status="pass", value=value, threshold=GOOD_RHAT, hint="", subject=subject)
    ess = np.fmin(bulk, tail)
    above = rhat > GOOD_RHAT
    unexcused = above & (ess < MIN_ESS_PER_CHAIN * chains)
    if draws is not None:
        ess = np.minimum(ess, ess_spread(draws))
    beyond = (rhat > BAD_RHAT) | (rhat > band(ess, chains, len(rhat))) | unexcused
    counted = f"{int(above.sum())} of {len(rhat)} parameters exceed {GOOD_RHAT}; the largest is {value:.3f} ({subject})"
    if beyond.any():
        return Verdict(
            name="R-hat",
            status="fail",
            value=value,
            threshold=GOOD_RHAT,
            hint=f"{counted}. That is more than chance: the chains have not mixed.",
            subject=subject,
        )
    expected = float(exceedance(GOOD_RHAT, ess, chains).sum())
    hint = (
        f"{counted}. Expected by chance at this effective sample size: about {expected:.1f}. Draw more before judging."
    )
    return Verdict(name="R-hat", status="warn", value=value, threshold=GOOD_RHAT, hint=hint, subject=subject)
