  vector[RO] rho_other = correlations(partial_other, K, other_correlated); // of the other terms
  matrix[J, KG] theta; // coefficients of groups (units as beta)
  vector[M] effect; // deviations of the levels of the other terms, as raw (units as beta)
  vector[P] beta; // common coefficients: those of columns of the group are means over groups
  {
    array[T] matrix[max(K), max(K)] C // Cholesky factors of the covariances of the terms
      = cholesky_factors(append_row(prior_theta[ : , 2], sd), partial_other, K, other_correlated);
    vector[J * KG + M] coefficient // of all levels, as raw (units as beta)
      = coefficients(raw_of_sampled(sampled, shift, own, rate, origin, carry * (beta_shared + shift[shared]), K, L, 0,
                                    G), middle, C, K, L, centered, 0);
    theta = by_group(coefficient, K, G, J, KG);
    effect = tail(coefficient, M);
  }
  beta[shared] = beta_shared;
  for (k in 1 : KG) {
    if (own[k] > 0) {
      beta[own[k]] = mean(theta[ : , k]);
    }
  }
