  target += lprior; // scales are constant multiples of their raw values: no Jacobian is due
  if (use_likelihood) {
    target += integrated_terms(S, U, E, append_row(start - beta, 1),
                               cholesky_factors(append_row(rep_vector(0, KG), sd), partial_other, K, other_correlated),
                               local_term, crossed, K, L, sigma, N);
  }
