// Normal outcomes, no pooling, all varying coefficients integrated out.
//
//   y[n] ~ normal(offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]], sigma)
//   u_t[l] ~ multi_normal(0, diag(sd_t) Omega_t diag(sd_t)) for other terms than the group's; of these every
//   coefficient, with the common one if it has one, is normal(prior_theta)
//
// Pooling: coefficients of groups have fixed, wide priors and share nothing. Terms of other factors stay.
// Parameterisation: marginal. Sums of products are all that is left of the rows, and there is no funnel; the varying
// coefficients are drawn afterwards.
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
  vector[N] y; // outcome (its unit)
  #include normal/rows.stan
}
transformed data {
  matrix[N, P + KG + 1] others = append_col(append_col(X, Z[ : , 1 : KG]), y - offset_ - X * start); // columns, outcome
  #include normal/no_transformed_data.stan
}
parameters {
  #include normal/no_parameters.stan
}
transformed parameters {
  #include normal/no_transformed_parameters.stan
}
model {
  #include normal/no_model.stan
}
generated quantities {
  #include normal/no_generated_quantities.stan
}
