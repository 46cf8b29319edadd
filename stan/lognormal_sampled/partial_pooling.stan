// Amounts above 0 whose logs are normal, partial pooling; coefficients of other factors are sampled, for too many are
// crossed to be integrated out.
//
//   log(y[n]) ~ normal(eta[n], sigma)
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] ~ multi_normal(0, diag(s_t) Omega_t diag(s_t)), s_t from tau (terms of the group) or sd (other terms)
//
// Pooling: coefficients of groups are draws from one population, whose sds and correlations are learnt.
// Coefficients of the group are integrated out, and drawn afterwards.
// Parameterisation: chosen by term, in data; non-centered: deviations in standard units, good where levels say little;
// centered: the coefficients themselves, good where they say much.
// Rows with equal columns and levels are one cell: their weights, their mean and the squares about it are all they say.
// What rows know, the sum of a common coefficient and of means over levels of other factors, is sampled as such.
// Units are those of log(y); its Jacobian, -sum(log(y)), is a constant.
// Gelman & Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, chapters 4.4 and 12.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include sampled_terms.stanfunctions
  #include group_cholesky.stanfunctions
  #include normal_cells.stanfunctions
}
data {
  #include sampled/data.stan
  vector<lower=0>[N] y; // amount of each row (its unit)
  #include group_integrated/data.stan
  int<lower=1, upper=7> prior_sigma_family; // prior of the residual sd, as scale_prior counts
  array[2] real<lower=0> prior_sigma; // its scale (unit of the log), its second argument
}
transformed data {
  #include group_integrated/partial_transformed_data.stan
}
parameters {
  #include group_integrated/partial_parameters.stan
  real<lower=0, upper=raw_ends({prior_sigma_family})[1]> sigma_raw; // residual sd over its prior's scale (no unit)
}
transformed parameters {
  real sigma = prior_sigma[1] * sigma_raw; // residual sd (unit of the log)
  #include group_integrated/partial_transformed_parameters.stan
  lprior += scale_prior_lpdf(sigma | prior_sigma_family, prior_sigma);
}
model {
  #include group_integrated/partial_model.stan
}
generated quantities {
  #include group_integrated/partial_generated_quantities.stan
}
