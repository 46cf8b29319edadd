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
  #include binet.stanfunctions
  #include log_one_plus_exp.stanfunctions
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
  vector[NC] cell_rest = to_vector(trials[cell_row]) - cell_y; // failures of a row of each cell
  vector[NC] with_y = cell_rows .* fmin(cell_y, 1); // rows of each cell that has a success
  vector[NC] with_rest = cell_rows .* fmin(cell_rest, 1); // rows of each cell that has a failure
  array[NC] int by_y = sort_indices_asc(cell_y); // cells in the order of successes
  array[NC] int by_rest = sort_indices_asc(cell_rest); // cells in the order of failures
  vector[NC] y_in_order = cell_y[by_y]; // successes in that order
  vector[NC] rest_in_order = cell_rest[by_rest]; // failures in that order
  vector[NC] rows_by_y = cell_rows[by_y]; // rows of the cells in the order of successes
  vector[NC] rows_by_rest = cell_rows[by_rest]; // rows of the cells in the order of failures
  array[n_factors() + 2] int first_y = first_of_counts(y_in_order); // where each number of successes begins
  array[n_factors() + 2] int first_rest = first_of_counts(rest_in_order); // where each number of failures begins
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
    real s = square(overdispersion);
    target += dot_product(with_y, eta) - dot_product(with_y + with_rest, log_one_plus_exp(eta)) // log(p) and log(1 - p)
              + log_products(inv_logit(eta[by_y]), s, rows_by_y, y_in_order, first_y)
              + log_products(inv_logit(-eta[by_rest]), s, rows_by_rest, rest_in_order, first_rest)
              - log_rising(inv(s), sizes); // but for constants
  }
}
generated quantities {
  #include sampled/partial_generated_quantities.stan
}
