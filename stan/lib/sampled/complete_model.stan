  array[T] matrix[max(K), max(K)] C // Cholesky factors of the covariances of the terms
    = cholesky_factors(append_row(rep_vector(0, KG), sd), partial_other, K, other_correlated);
  vector[M] raw = raw_of_sampled(sampled, shift, own, none, none, none, K, L, G, G); // as sampled_terms says
  target += lprior + raw_lpdf(raw | rep_vector(0, KO), C, K, L, centered, G);
  vector[NC] eta = offset_[cell_row] + X_cell * beta // linear predictor of each cell (unit of eta)
                   + terms_of_rows(Z_cell, append_row(rep_vector(0, J * KG), // the group's are left out
                                                      coefficients(raw, rep_vector(0, KO), C, K, L, centered, G)),
                                   place, KG);
