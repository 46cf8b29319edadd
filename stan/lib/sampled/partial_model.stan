  array[T] matrix[max(K), max(K)] C // Cholesky factors of the covariances of the terms
    = cholesky_factors(append_row(tau, sd), append_row(partial, partial_other), K, correlated);
  vector[KG + KO] middle = means_of_columns(beta, own, KO); // of the coefficients (units as beta)
  vector[J * KG + M] raw // as sampled_terms says
    = raw_of_sampled(sampled, shift, own, rate, origin, carry * (beta + shift)[shared], K, L, 0, G);
  target += lprior + raw_lpdf(raw | middle, C, K, L, centered, 0);
  vector[NC] eta = offset_[cell_row] + X_cell * beta[shared] // linear predictor of each cell (unit of eta)
                   + terms_of_rows(Z_cell, coefficients(raw, middle, C, K, L, centered, 0), place, 0);
