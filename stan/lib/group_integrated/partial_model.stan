  array[T] matrix[max(K), max(K)] C // Cholesky factors of the covariances of the terms
    = cholesky_factors(append_row(tau, sd), append_row(partial, partial_other), K, correlated);
  vector[M] raw = raw_of_sampled(sampled, shift, own, none, none, none, K, L, G, G); // as sampled_terms says
  target += lprior + raw_lpdf(raw | rep_vector(0, KO), C, K, L, centered, G);
  if (use_likelihood) {
    vector[NC] off = cell_mean - offset_[cell_row] - X_cell * beta // of each cell, from what is not the group's
                     - terms_of_rows(Z_cell, append_row(rep_vector(0, J * KG), // the group's are left out
                                                        coefficients(raw, rep_vector(0, KO), C, K, L, centered, G)),
                                     place, KG);
    target += integrated_group(off, cell_weight, squares, W, S, last_cell, factor_of_group(C, K, G, KG), sigma,
                               N); // but for constants
  }
