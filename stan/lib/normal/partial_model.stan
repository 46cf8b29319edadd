  target += lprior; // scales are constant multiples of their raw values: no Jacobian is due
  if (use_likelihood) {
    target += integrated_terms(S, U, E, append_row(start - beta, 1),
                               cholesky_factors(append_row(tau, sd), append_row(partial, partial_other), K, correlated),
                               local_term, crossed, K, L, sigma, N);
  }
