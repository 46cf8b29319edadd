  vector[R + RO] all_rho = correlations(append_row(partial, partial_other), K, correlated); // of all terms
  vector[R] rho = head(all_rho, R); // of the group's terms, in the order (1, 2), (1, 3), (2, 3), ...
  vector[RO] rho_other = tail(all_rho, RO); // of the other terms
  vector[M] effect; // deviations of the levels of the other terms, as raw (units as beta)
  {
    array[T] matrix[max(K), max(K)] C // Cholesky factors of the covariances of the terms
      = cholesky_factors(append_row(tau, sd), append_row(partial, partial_other), K, correlated);
    effect = coefficients(raw_of_sampled(sampled, shift, own, none, none, none, K, L, G, G),
                          rep_vector(0, KO), C, K, L, centered, G);
  }
