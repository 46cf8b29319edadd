// Amounts above 0 whose logs are normal, complete pooling, all varying coefficients integrated out.
//
//   log(y[n]) ~ normal(offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]], sigma)
//   u_t[l] = 0 for terms of the group, else multi_normal(0, diag(sd_t) Omega_t diag(sd_t))
//
// Pooling: all groups share one regression: the terms of the group are left out. Terms of other factors stay.
// Parameterisation: marginal. Sums of products are all that is left of the rows, and there is no funnel; the varying
// coefficients are drawn afterwards.
// Units are those of log(y); its Jacobian, -sum(log(y)), is a constant.
// Lindley & Smith (1972), Journal of the Royal Statistical Society B 34:1; Bates et al. (2015), Journal of Statistical
// Software 67:1.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include group_cholesky.stanfunctions
  #include integrated_terms.stanfunctions
}
data {
  #include normal/structure.stan
  vector<lower=0>[N] y; // amount of each row (its unit)
  #include normal/rows.stan
}
transformed data {
  matrix[N, P + 1] others = append_col(X, log(y) - offset_ - X * start); // common columns, log(y)
  #include normal/complete_transformed_data.stan
}
parameters {
  #include normal/complete_parameters.stan
}
transformed parameters {
  #include normal/complete_transformed_parameters.stan
}
model {
  #include normal/complete_model.stan
}
generated quantities {
  #include normal/complete_generated_quantities.stan
}
