"""Independent draws of a regression without pooling, or with complete pooling: coefficients and residual sd are known.

Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 3.2 and 14.2 and appendix A: given the sd coefficients
with normal priors are normal; the sd has the density whose integral is the evidence. Data and draws are those of
linear_regression; a group enters through sums of products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hbm_stan.families.integrated_normal import scale_of, shared_columns
from hbm_stan.families.left_out import Sets, sd_integrand, sets_of_products, where_mass_is
from hbm_stan.model import Draws, StanData
from hbm_stan.priors import Prior
from hbm_stan.table import FloatArray

# Points of the distribution function of an sd, taken as straight between them: with exp(-50) of the peak left out at
# both ends some 40 of them lie within an sd of its logarithm (ours).
_POINTS = 800


@dataclass(frozen=True)
class _Lines:
    """Rows of each group, by direction: ``sets``, signed ``c`` (J, K), the directions ``q`` (J, K, K); and priors."""

    sets: Sets
    c: FloatArray
    q: FloatArray
    coefficients: FloatArray
    sd: Prior
    scale: float

    def draw(self, rng: np.random.Generator, size: int) -> tuple[FloatArray, FloatArray]:
        """Coefficients (S, J, K) and residual sds (S, J)."""
        share = rng.uniform(size=(size, len(self.c)))
        sd = np.stack([self._sds(j, share[:, j]) for j in range(len(self.c))], axis=1)
        along, var = self.sets.along, sd[..., None] ** 2
        # In units of the prior: the precision of each direction is 1 + along / sd^2.
        standard = self.c / (along + var) + rng.standard_normal((*sd.shape, along.shape[1])) * np.sqrt(
            var / (along + var)
        )
        units = (self.q @ standard[..., None])[..., 0]
        return self.coefficients[:, 0] + self.coefficients[:, 1] * units, sd

    def _sds(self, j: int, share: FloatArray) -> FloatArray:
        """The sds of a group at these values of their distribution function, (S,)."""
        integrand, log_sd = sd_integrand(self.sets.take(np.array([j])), self.sd, self.scale)
        low, high = where_mass_is(integrand, many=True)
        v = np.linspace(low, high, _POINTS)
        log_density = integrand(v)[0]
        below = np.cumsum(np.exp(log_density - log_density.max()))
        ends = np.append(low, (v[1:] + v[:-1]) / 2)
        return np.exp(log_sd(np.interp(share, np.append(0.0, below[:-1] / below[-1]), ends)))


def independent(rng: np.random.Generator, data: StanData, variant: str, size: int) -> Draws | None:
    """Independent draws without pooling or with complete pooling, all that their programs have; else None."""
    if variant not in {"no_pooling", "complete_pooling"} or not data["use_likelihood"]:
        return None
    if variant == "no_pooling":
        x, y, group = np.asarray(data["X"]), np.asarray(data["y"], dtype=float), np.asarray(data["group_idx"]) - 1
        coefficients, name = np.asarray(data["prior_theta"], dtype=float), "sigma_group"
    else:
        (x, y, group, coefficients), name = shared_columns(data), "sigma"
    sd, scale = scale_of(name, data)
    sets, c, q = sets_of_products(x, y, group, coefficients)
    lines = _Lines(sets=sets, c=c, q=q, coefficients=coefficients, sd=sd, scale=scale)
    theta, sds = lines.draw(rng, size)
    if variant == "no_pooling":
        return {"theta": theta, "sigma_group": sds}
    mu, gamma = theta[:, 0, : data["K"]], theta[:, 0, data["K"] :]
    of_groups = np.repeat(mu[:, None], data["J"], axis=1)
    of_groups[:, :, 0] += gamma @ np.asarray(data["U"], dtype=float).reshape(data["J"], -1).T
    effects = {"gamma": gamma} if data["L"] else {}  # draws of nothing are not kept of programs either
    return {"mu": mu, **effects, "sigma": sds[:, 0], "theta": of_groups}
