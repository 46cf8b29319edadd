// Planted fault: variation is taken for the variance over the squared mean; otherwise partial_pooling.
// Amounts above 0 with a constant coefficient of variation, partial pooling.
//
//   y[n] ~ gamma(1 / variation^2, 1 / (variation^2 exp(eta[n]))), whose mean is exp(eta[n])
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] ~ multi_normal(0, diag(s_t) Omega_t diag(s_t)), s_t from tau (terms of the group) or sd (other terms)
//
// Pooling: coefficients of groups are draws from one population, whose sds and correlations are learnt.
// Parameterisation: chosen by term, in data; non-centered: deviations in standard units, good where levels say little;
// centered: the coefficients themselves, good where they say much. Rows with equal columns and levels are one cell.
// What rows know, the sum of a common coefficient and of means over levels of other factors, is sampled as such.
// McCullagh & Nelder (1989), Generalized Linear Models, 2nd ed., chapter 8.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include sampled_terms.stanfunctions
  #include binet.stanfunctions
  #include amounts.stanfunctions
}
data {
  #include sampled/data.stan
  vector<lower=0>[N] y; // amount of each row (its unit)
  vector<lower=0>[NC] cell_rows; // rows of each cell
  vector[NC] cell_log; // log of the mean amount of each cell
  real<lower=0> shortfall; // log of a cell's mean less the mean of its logs, over all rows
  int<lower=1, upper=7> prior_variation_family; // prior of variation, as scale_prior counts
  array[2] real<lower=0> prior_variation; // its scale (no unit), its second argument
}
transformed data {
  #include sampled/partial_transformed_data.stan
}
parameters {
  #include sampled/partial_parameters.stan
  real<lower=0, upper=raw_ends({prior_variation_family})[1]> variation_raw; // over its scale
}
transformed parameters {
  real variation = prior_variation[1] * variation_raw; // sd of a row over its mean (no unit)
  #include sampled/partial_transformed_parameters.stan
  lprior += scale_prior_lpdf(variation | prior_variation_family, prior_variation);
}
model {
  #include sampled/partial_model.stan
  if (use_likelihood) {
    target += log_amounts(cell_log, cell_rows, shortfall, eta, sqrt(variation)); // FAULT: variation is an sd
  }
}
generated quantities {
  #include sampled/partial_generated_quantities.stan
}
