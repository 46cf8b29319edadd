"""Integrated effects of several terms: what every group leaves, in one statement for all of them, against NumPy."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import stanli
from scipy.optimize import approx_fprime

from hbm_stan.resources import share

FUNCTION = share("stan") / "lib" / "group_cholesky.stanfunctions"
PROGRAM = """
functions {
  FUNCTION
}
data {
  int V;
  int J;
  array[V] matrix[J, V] S;
  array[V] vector[J] b;
  array[V] vector[J] r;
  array[3] vector[J] weight;
}
parameters {
  vector[(V * (V + 1)) %/% 2] p;
}
model {
  matrix[V, V] P = rep_matrix(0, V, V);
  int at = 1;
  for (k in 1 : V) {
    for (l in 1 : k) {
      P[k, l] = p[at];
      at += 1;
    }
  }
  {
    array[V, V] vector[J] F = group_factors(S, P);
    array[V] vector[J] z = whitened(F, P, b);
    array[V, V] vector[J] W = weights_of(F, P);
    target += dot_product(weight[1], log_determinants(F));
    for (k in 1 : V) {
      target += dot_product(weight[2], square(z[k]));
      for (l in 1 : V) {
        target += dot_product(weight[3], b[k] .* W[k, l] .* r[l]);
      }
    }
  }
}
"""
SIZES = (0, 1, 2, 9, 4, 30)  # rows of the groups: a group without rows, and some with fewer rows than terms
# Slips of the pen: each must change what comes out.
FAULTS = {
    "a diagonal that is no root": ("sqrt(F[l, l])", "F[l, l]"),
    "elements that are not divided": ("F[k, l] = F[k, l] ./ F[l, l]", "F[k, l] = F[k, l]"),
    "a product of the wrong row": ("F[k, h] .* F[l, h]", "F[k, h] .* F[k, h]"),
    "a column that is not taken off": ("F[k, l] -= F[k, h]", "F[k, l] -= (h > 1) * F[k, h]"),
    "no identity": ("rep_vector(k == l, rows", "rep_vector(0.5 * (k == l), rows"),
    "factors in each other's place": ("F[k, l] += P[m, k] * GP[m]", "F[k, l] += P[m, l] * GP[m]"),
    "a determinant of the first rows twice": ("log_det += 2 * log(F[l, l])", "log_det += 2 * log(F[l - 1, l - 1])"),
    "half a determinant": ("= 2 * log(F[1, 1])", "= log(F[1, 1])"),
    "a right side that is not taken off": ("z[l] -= F[l, h] .* z[h]", "z[l] -= 0 * F[l, h] .* z[h]"),
    "a right side by its own term alone": ("z[l] += P[m, l] * b[m]", "z[l] += 0 * P[m, l] * b[m]"),
    "a right side that is not divided": ("z[l] = z[l] ./ F[l, l]", "z[l] = z[l] ./ F[1, 1]"),
    "weights of the next column": ("U[k, l] .* U[m, l]", "U[k, l] .* U[m, l - 1]"),
    "weights that begin late": ("W[k, m] = U[k, 1] .* U[m, 1]", "W[k, m] = 0 * U[k, 1] .* U[m, 1]"),
    "half of the weights": ("W[m, k] = W[k, m]", "W[m, k] = (m == k) * W[k, m]"),
}


def cases(terms: int) -> tuple[dict[str, object], np.ndarray]:
    """Data of groups of unequal sizes, and a point."""
    rng = np.random.default_rng(terms)
    rows = [rng.normal(size=(n, terms)) for n in SIZES]
    gram = np.array([x.T @ x for x in rows])
    right = np.array([x.T @ rng.normal(size=len(x)) for x in rows])
    other = rng.normal(size=(terms, len(SIZES)))
    weight = rng.uniform(0.5, 2, size=(3, len(SIZES)))
    data = {
        "V": terms, "J": len(SIZES), "S": gram.transpose(1, 0, 2).tolist(), "b": right.T.tolist(),
        "r": other.tolist(), "weight": weight.tolist(),
    }  # fmt: skip
    return data, rng.normal(size=terms * (terms + 1) // 2)


def by_numpy(data: dict[str, object], p: np.ndarray) -> float:
    """The same by the matrix of each group."""
    factor = np.zeros((data["V"], data["V"]))
    factor[np.tril_indices(data["V"])] = p
    total, weight = 0.0, np.array(data["weight"])
    for j in range(len(SIZES)):
        within, right, other = (np.array(data[name])[:, j] for name in ("S", "b", "r"))
        matrix, c, d = np.eye(data["V"]) + factor.T @ within @ factor, factor.T @ right, factor.T @ other
        total += weight[0, j] * np.linalg.slogdet(matrix)[1] + weight[1, j] * c @ np.linalg.solve(matrix, c)
        total += weight[2, j] * c @ np.linalg.solve(matrix, d)
    return float(total)


def model(code: str, data: dict[str, object]) -> stanli.Model:
    return stanli.Model(mir=stanli.stan_to_mir(PROGRAM.replace("FUNCTION", code)), data=data)


@pytest.mark.parametrize("terms", [1, 2, 3, 4, 6])
def test_all_groups_at_once_leave_what_their_matrices_leave(terms: int) -> None:
    data, p = cases(terms)
    value, slope = model(FUNCTION.read_text(), data).log_prob_grad(p)[:2]
    assert value == pytest.approx(by_numpy(data, p), rel=1e-12)
    differences = approx_fprime(p, lambda x: by_numpy(data, x), 1e-7)
    np.testing.assert_allclose(np.ravel(slope), differences, atol=1e-5 * np.abs(differences).max())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str) -> None:
    right, wrong = FAULTS[fault]
    code = FUNCTION.read_text()
    assert code.count(right) == 1
    data, p = cases(3)
    assert model(code.replace(right, wrong), data).log_prob_grad(p)[0] != pytest.approx(by_numpy(data, p), rel=1e-6)


MEMORY = """
import resource
import numpy as np
import pandas as pd
import hbm_stan as hbm
from hbm_stan.engines import choose
from hbm_stan.families import families
from hbm_stan.fit import prepare_table

frame = pd.DataFrame(np.random.default_rng(1).normal(size=(9000, 3)), columns=["y", "x", "z"])
frame["g"] = np.arange(9000) % 3000
GIVEN
table = prepare_table(family, dataset)
data = family.stan_data(table, family.priors(table, {}), "partial_pooling")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
choose("stanli").model(family.program("partial_pooling"), {**data, "generate": 0})
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20)
"""
GIVEN = {
    "linear_regression": 'family = families()["linear_regression"]; dataset = '
    'hbm.Dataset.from_frame(frame, group="g", outcome="y", predictors=["x", "z"])',
    "normal": 'family = families()["normal"]; dataset = '
    'hbm.Dataset.from_frame(frame, formula="y ~ x + z + (1 + x + z | g)")',
}


@pytest.mark.parametrize("name", GIVEN)
def test_three_terms_of_three_thousand_groups_take_little_memory(name: str) -> None:
    """A loop over groups took 1.7 GiB of the embedded engine, and the square of their number."""
    code = MEMORY.replace("GIVEN", GIVEN[name])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.4
