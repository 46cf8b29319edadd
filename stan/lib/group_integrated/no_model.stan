  array[T] matrix[max(K), max(K)] C // Cholesky factors of the covariances of the terms
    = cholesky_factors(append_row(prior_theta[ : , 2], sd), partial_other, K, other_correlated);
  vector[M] raw = raw_of_sampled(sampled, shift, own, none, none, none, K, L, G, G); // as sampled_terms says
  target += lprior + raw_lpdf(raw | rep_vector(0, KO), C, K, L, centered, G);
  if (use_likelihood) {
    vector[J * KG + M] coefficient // of all levels, as raw; the group's are left out (units as beta)
      = append_row(rep_vector(0, J * KG), coefficients(raw, rep_vector(0, KO), C, K, L, centered, G));
    vector[NC] rest = known - X_cell * beta_shared; // of each cell, less common columns (unit of eta)
    vector[NC] off = less_terms(rest, Z_cell, coefficient, place, KG, plain); // from the middle of its group (same)
    target += integrated_group(off, cell_weight, squares, W, S, last_cell, factor_of_group(C, K, G, KG), sigma,
                               N); // but for constants
  }
