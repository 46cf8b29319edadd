  vector[RO] rho_other = correlations(partial_other, K, other_correlated); // of the other terms
  vector[M] effect; // deviations of the levels of the other terms, as raw (units as beta)
  {
    array[T] matrix[max(K), max(K)] C // Cholesky factors of the covariances of the terms
      = cholesky_factors(append_row(prior_theta[ : , 2], sd), partial_other, K, other_correlated);
    effect = coefficients(raw_of_sampled(sampled, shift, own, none, none, none, K, L, G, G),
                          rep_vector(0, KO), C, K, L, centered, G);
  }
