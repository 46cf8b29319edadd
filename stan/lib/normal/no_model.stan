  target += lprior; // scales are constant multiples of their raw values: no Jacobian is due
  if (use_likelihood) {
    vector[P] beta = rep_vector(0, P); // those of columns of the group are in its coefficients (units as beta)
    beta[shared] = beta_shared;
    target += integrated_terms(S, U, E, append_row(append_row(start - beta, -prior_theta[ : , 1]), 1),
                               cholesky_factors(append_row(prior_theta[ : , 2], sd), partial_other, K,
                                                other_correlated),
                               local_term, crossed, K, L, sigma, N);
  }
