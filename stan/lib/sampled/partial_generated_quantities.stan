  vector[R + RO] all_rho = correlations(append_row(partial, partial_other), K, correlated); // of all terms
  vector[R] rho = head(all_rho, R); // of the group's terms, in the order (1, 2), (1, 3), (2, 3), ...
  vector[RO] rho_other = tail(all_rho, RO); // of the other terms
  matrix[J, KG] theta; // coefficients of groups (units as beta)
  vector[M] effect; // deviations of the levels of the other terms, as raw (units as beta)
  {
    array[T] matrix[max(K), max(K)] C // Cholesky factors of the covariances of the terms
      = cholesky_factors(append_row(tau, sd), append_row(partial, partial_other), K, correlated);
    vector[J * KG + M] raw // as in the model
      = raw_of_sampled(sampled, shift, own, rate, origin, carry * (beta + shift)[shared], K, L, 0, G);
    vector[J * KG + M] coefficient // of all levels, as raw (units as beta)
      = coefficients(raw, means_of_columns(beta, own, KO), C, K, L, centered, 0);
    theta = by_group(coefficient, K, G, J, KG);
    effect = tail(coefficient, M);
  }
