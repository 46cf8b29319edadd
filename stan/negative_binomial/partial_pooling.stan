// Negative binomial counts, partial pooling.
//
//   y[n] ~ neg_binomial_2(exposure[n] exp(eta[n]), 1 / overdispersion^2)
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] ~ multi_normal(0, diag(s_t) Omega_t diag(s_t)), s_t from tau (terms of the group) or sd (other terms)
//
// Pooling: coefficients of groups are draws from one population, whose sds and correlations are learnt.
// Parameterisation: chosen by term, in data; non-centered: deviations in standard units, good where levels say little;
// centered: the coefficients themselves, good where they say much.
// Rows with equal columns, levels and exposure are one cell.
// What rows know, the sum of a common coefficient and of means over levels of other factors, is sampled as such.
// Cameron & Trivedi (2013), Regression Analysis of Count Data, 2nd ed., section 3.3.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include sampled_terms.stanfunctions
  #include log_rising.stanfunctions
  #include tally.stanfunctions
}
data {
  #include sampled/data.stan
  array[N] int<lower=0> y; // events of each row
  vector<lower=0>[N] exposure; // time, area or number that they come from
  vector<lower=0>[NC] cell_y; // events of each cell
  vector<lower=0>[NC] cell_rows; // rows of each cell
  int<lower=1, upper=7> prior_overdispersion_family; // prior of overdispersion, as scale_prior counts
  array[2] real<lower=0> prior_overdispersion; // its scale (no unit), its second argument
}
transformed data {
  #include sampled/partial_transformed_data.stan
  vector[NC] cell_exposure = exposure[cell_row]; // exposure of a row of each cell
  matrix[rows(tally(to_vector(y), ones_vector(N))), 3] counts // distinct counts; rows that have them
    = tally(to_vector(y), ones_vector(N));
}
parameters {
  #include sampled/partial_parameters.stan
  real<lower=0, upper=raw_ends({prior_overdispersion_family})[1]> overdispersion_raw; // over its scale
}
transformed parameters {
  real overdispersion = prior_overdispersion[1] * overdispersion_raw; // sd of rates over their mean (no unit)
  #include sampled/partial_transformed_parameters.stan
  lprior += scale_prior_lpdf(overdispersion | prior_overdispersion_family, prior_overdispersion);
}
model {
  #include sampled/partial_model.stan
  if (use_likelihood) {
    real spread = square(overdispersion); // variance of rates over their squared mean
    vector[NC] log_dispersion = log1p(cell_exposure .* exp(eta) * spread); // log of the variance over the mean
    target += log_rising(inv(spread), counts) + dot_product(cell_y, eta)
              - dot_product(cell_y, log_dispersion)
              - dot_product(cell_rows, log_dispersion) / spread; // but for constants
  }
}
generated quantities {
  #include sampled/partial_generated_quantities.stan
}
