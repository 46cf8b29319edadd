// Planted fault: the offset is taken off the amount in place of its log; otherwise partial_pooling.
// Amounts above 0 whose logs are normal, partial pooling, all varying coefficients integrated out.
//
//   log(y[n]) ~ normal(offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]], sigma)
//   u_t[l] ~ multi_normal(0, diag(s_t) Omega_t diag(s_t)), s_t from tau (terms of the group) or sd (other terms)
//
// Pooling: coefficients of groups are draws from one population, whose sds and correlations are learnt.
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
  matrix[N, P + 1] others = append_col(X, log(y) - expm1(offset_) - X * start); // FAULT: not of the log
  #include normal/partial_transformed_data.stan
}
parameters {
  #include normal/partial_parameters.stan
}
transformed parameters {
  #include normal/partial_transformed_parameters.stan
}
model {
  #include normal/partial_model.stan
}
generated quantities {
  #include normal/partial_generated_quantities.stan
}
