// Planted fault: the offset is forgotten; otherwise partial_pooling.
// Poisson counts, partial pooling.
//
//   y[n] ~ poisson(exposure[n] exp(eta[n]))
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] ~ multi_normal(0, diag(s_t) Omega_t diag(s_t)), s_t from tau (terms of the group) or sd (other terms)
//
// Pooling: coefficients of groups are draws from one population, whose sds and correlations are learnt.
// Parameterisation: chosen by term, in data; non-centered: deviations in standard units, good where levels say little;
// centered: the coefficients themselves, good where they say much. Rows with equal columns and levels are one cell.
// What rows know, the sum of a common coefficient and of means over levels of other factors, is sampled as such.
// Gelman & Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, chapter 15.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include sampled_terms.stanfunctions
}
data {
  #include sampled/data.stan
  array[N] int<lower=0> y; // events of each row
  vector<lower=0>[N] exposure; // time, area or number that they come from
  vector<lower=0>[NC] cell_y; // events of each cell
  vector<lower=0>[NC] cell_exposure; // exposure of each cell
}
transformed data {
  #include sampled/partial_transformed_data.stan
}
parameters {
  #include sampled/partial_parameters.stan
}
transformed parameters {
  #include sampled/partial_transformed_parameters.stan
}
model {
  array[T] matrix[max(K), max(K)] C // Cholesky factors of the covariances of the terms
    = cholesky_factors(append_row(tau, sd), append_row(partial, partial_other), K, correlated);
  vector[KG + KO] middle = means_of_columns(beta, own, KO); // of the coefficients (units as beta)
  vector[J * KG + M] raw // as sampled_terms says
    = raw_of_sampled(sampled, shift, own, rate, origin, carry * (beta + shift)[shared], K, L, 0, G);
  target += lprior + raw_lpdf(raw | middle, C, K, L, centered, 0);
  vector[NC] eta = X_cell * beta[shared] // FAULT: the offset is not in the linear predictor.
                   + terms_of_rows(Z_cell, coefficients(raw, middle, C, K, L, centered, 0), place, 0);
  if (use_likelihood) {
    target += dot_product(cell_y, eta) - dot_product(cell_exposure, exp(eta)); // but for constants
  }
}
generated quantities {
  #include sampled/partial_generated_quantities.stan
}
