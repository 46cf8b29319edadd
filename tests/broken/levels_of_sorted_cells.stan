// Planted fault: cells are given the levels of sorted rows; otherwise partial_pooling.
// Binomial outcomes, partial pooling.
//
//   y[n] ~ binomial(trials[n], inv_logit(eta[n]))
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] ~ multi_normal(0, diag(s_t) Omega_t diag(s_t)), s_t from tau (terms of the group) or sd (other terms)
//
// Pooling: coefficients of groups are draws from one population, whose sds and correlations are learnt.
// Parameterisation: chosen by term, in data; non-centered: deviations in standard units, good where levels say little;
// centered: the coefficients themselves, good where they say much. Rows with equal columns and levels are one cell.
// What rows know, the sum of a common coefficient and of means over levels of other factors, is sampled as such.
// Gelman & Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, chapter 14.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include sampled_terms.stanfunctions
  #include log_one_plus_exp.stanfunctions
}
data {
  #include sampled/data.stan
  array[N] int<lower=0> y; // successes of each row
  array[N] int<lower=1> trials; // their trials
  vector<lower=0>[NC] cell_y; // successes of each cell
  vector<lower=0>[NC] cell_trials; // trials of each cell
}
transformed data {
  #include sampled/partial_transformed_data.stan
  array[KG + KO, NC] int wrong = place[ : , sort_indices_asc(cell_row)]; // FAULT: of sorted rows
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
  vector[NC] eta = offset_[cell_row] + X_cell * beta[shared] // linear predictor of each cell (unit of eta)
                   + terms_of_rows(Z_cell, coefficients(raw, middle, C, K, L, centered, 0), wrong, 0);
  if (use_likelihood) {
    target += dot_product(cell_y, eta) - dot_product(cell_trials, log_one_plus_exp(eta)); // but for constants
  }
}
generated quantities {
  #include sampled/partial_generated_quantities.stan
}
