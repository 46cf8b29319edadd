  array[T] matrix[max(K), max(K)] C // Cholesky factors of the covariances of the terms
    = cholesky_factors(append_row(prior_theta[ : , 2], sd), partial_other, K, other_correlated);
  vector[J * KG + M] raw // as sampled_terms says
    = raw_of_sampled(sampled, shift, own, rate, origin, carry * (beta_shared + shift[shared]), K, L, 0, G);
  target += lprior + raw_lpdf(raw | middle, C, K, L, centered, 0);
  vector[NC] eta = offset_[cell_row] + X_cell * beta_shared // linear predictor of each cell (unit of eta)
                   + terms_of_rows(Z_cell, coefficients(raw, middle, C, K, L, centered, 0), place, 0);
