// Planted fault: what trials and overdispersion have in common is forgotten; otherwise partial_pooling.
// Beta-binomial successes, partial pooling.
//
//   y[n] ~ beta_binomial(trials[n], p[n] / overdispersion^2, (1 - p[n]) / overdispersion^2), p[n] = inv_logit(eta[n])
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] ~ multi_normal(0, diag(s_t) Omega_t diag(s_t)), s_t from tau (terms of the group) or sd (other terms)
//
// Pooling: coefficients of groups are draws from one population, whose sds and correlations are learnt.
// Parameterisation: chosen by term, in data; non-centered: deviations in standard units, good where levels say little;
// centered: the coefficients themselves, good where they say much. Equal rows are one cell.
// What rows know, the sum of a common coefficient and of means over levels of other factors, is sampled as such.
// Williams (1975), Biometrics 31:949.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include sampled_terms.stanfunctions
  #include log_rising.stanfunctions
  #include tally.stanfunctions
  #include mixed_successes.stanfunctions
}
data {
  #include sampled/data.stan
  array[N] int<lower=0> y; // successes of each row
  array[N] int<lower=1> trials; // their trials
  vector<lower=0>[NC] cell_rows; // rows of each cell
  int<lower=1, upper=7> prior_overdispersion_family; // prior of overdispersion, as scale_prior counts
  array[2] real<lower=0> prior_overdispersion; // its scale (no unit), its second argument
}
transformed data {
  #include sampled/partial_transformed_data.stan
  vector[NC] cell_y = to_vector(y[cell_row]); // successes of a row of each cell
  vector[NC] cell_trials = to_vector(trials[cell_row]); // trials of a row of each cell
  matrix[rows(tally(to_vector(trials), ones_vector(N))), 3] sizes // distinct trials; rows that have them
    = tally(to_vector(trials), ones_vector(N));
}
parameters {
  #include sampled/partial_parameters.stan
  real<lower=0, upper=raw_ends({prior_overdispersion_family})[1]> overdispersion_raw; // over its scale
}
transformed parameters {
  real overdispersion = prior_overdispersion[1] * overdispersion_raw; // 1 / sqrt(concentration) (no unit)
  #include sampled/partial_transformed_parameters.stan
  lprior += scale_prior_lpdf(overdispersion | prior_overdispersion_family, prior_overdispersion);
}
model {
  #include sampled/partial_model.stan
  if (use_likelihood) {
    target += log_mixed_successes(cell_y, cell_trials, eta, cell_rows, overdispersion); // FAULT: not all
  }
}
generated quantities {
  #include sampled/partial_generated_quantities.stan
}
