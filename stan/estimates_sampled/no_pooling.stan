// Estimates with known standard errors, no pooling; coefficients of other factors are sampled, for too many are
// crossed to be integrated out.
//
//   y[n] ~ normal(eta[n], se[n])
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
// Raudenbush & Bryk (1985), Journal of Educational Statistics 10:75; Konstantopoulos (2011), Research Synthesis Methods
// 2:61.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include sampled_terms.stanfunctions
  #include group_cholesky.stanfunctions
  #include normal_cells.stanfunctions
}
data {
  #include sampled/data.stan
  vector[N] y; // estimate (its unit)
  vector<lower=0>[N] se; // its standard error (same unit)
  #include group_integrated/data.stan
}
transformed data {
  #include group_integrated/no_transformed_data.stan
  real sigma = 1; // rows have variances of their own: standard errors are in the weights (no unit)
}
parameters {
  #include group_integrated/no_parameters.stan
}
transformed parameters {
  #include group_integrated/no_transformed_parameters.stan
}
model {
  #include group_integrated/no_model.stan
}
generated quantities {
  #include group_integrated/no_generated_quantities.stan
}
