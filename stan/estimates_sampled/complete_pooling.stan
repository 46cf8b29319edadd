// Estimates with known standard errors, complete pooling; coefficients of other factors are sampled, for too many are
// crossed to be integrated out.
//
//   y[n] ~ normal(eta[n], se[n])
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] = 0 for terms of the group, else multi_normal(0, diag(sd_t) Omega_t diag(sd_t))
//
// Pooling: all groups share one regression: the terms of the group are left out. Terms of other factors stay.
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
  #include sampled/complete_transformed_data.stan
  real sigma = 1; // rows have variances of their own: standard errors are in the weights (no unit)
}
parameters {
  #include sampled/complete_parameters.stan
}
transformed parameters {
  #include sampled/complete_transformed_parameters.stan
}
model {
  #include sampled/complete_model.stan
  if (use_likelihood) {
    target += log_normal_cells(cell_mean, cell_weight, squares, eta, sigma, N); // but for constants
  }
}
generated quantities {
  #include sampled/complete_generated_quantities.stan
}
