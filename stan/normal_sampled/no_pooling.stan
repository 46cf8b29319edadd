// Normal outcomes, no pooling; coefficients of other factors are sampled, for too many are crossed to be integrated
// out.
//
//   y[n] ~ normal(eta[n], sigma)
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] ~ multi_normal(0, diag(sd_t) Omega_t diag(sd_t)) for other terms than the group's; of these every
//   coefficient, with the common one if it has one, is normal(prior_theta)
//
// Pooling: coefficients of groups have fixed, wide priors and share nothing. Terms of other factors stay.
// Coefficients of the group are integrated out, and drawn afterwards.
// Parameterisation: chosen by term, in data; non-centered: deviations in standard units, good where levels say little;
// centered: the coefficients themselves, good where they say much.
// Rows with equal columns and levels are one cell: their weights, their mean and the squares about it are all they say.
// What rows know, the sum of a common coefficient and of means over levels of other factors, is sampled as such.
// Gelman & Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, chapter 12.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include sampled_terms.stanfunctions
  #include group_cholesky.stanfunctions
  #include normal_cells.stanfunctions
}
data {
  #include sampled/data.stan
  vector[N] y; // outcome (its unit)
  #include group_integrated/data.stan
  int<lower=1, upper=7> prior_sigma_family; // prior of the residual sd, as scale_prior counts
  array[2] real<lower=0> prior_sigma; // its scale (unit of the outcome), its second argument
}
transformed data {
  #include group_integrated/no_transformed_data.stan
}
parameters {
  #include group_integrated/no_parameters.stan
  real<lower=0, upper=raw_ends({prior_sigma_family})[1]> sigma_raw; // residual sd over its prior's scale (no unit)
}
transformed parameters {
  real sigma = prior_sigma[1] * sigma_raw; // residual sd (unit of the outcome)
  #include group_integrated/no_transformed_parameters.stan
  lprior += scale_prior_lpdf(sigma | prior_sigma_family, prior_sigma);
}
model {
  #include group_integrated/no_model.stan
}
generated quantities {
  #include group_integrated/no_generated_quantities.stan
}
