// Planted fault: sds of another factor have the prior of the group's; otherwise partial_pooling.
// Normal outcomes, partial pooling, all varying coefficients integrated out.
//
//   y[n] ~ normal(offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]], sigma)
//   u_t[l] ~ multi_normal(0, diag(s_t) Omega_t diag(s_t)), s_t from tau (terms of the group) or sd (other terms)
//
// Pooling: coefficients of groups are draws from one population, whose sds and correlations are learnt.
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
  matrix[N, P + 1] others = append_col(X, y - offset_ - X * start); // common columns, outcome
  #include normal/partial_transformed_data.stan
}
parameters {
  #include normal/partial_parameters.stan
}
transformed parameters {
  vector[P] beta = prior_beta[ : , 1] + prior_beta[ : , 2] .* beta_raw; // common coefficients (outcome per column)
  vector[KG] tau = to_vector(prior_tau[ : , 1]) .* tau_raw; // sds between groups (units as beta)
  vector[KO] sd = to_vector(prior_sd[ : , 1]) .* sd_raw; // sds between levels of other factors (units as beta)
  real sigma = prior_sigma[1] * sigma_raw; // residual sd (unit of the outcome)
  real lprior = normal_priors_lpdf(beta | prior_beta)
                + scale_priors_lpdf(tau | prior_tau_family, prior_tau)
                + scale_priors_lpdf(sd | prior_tau_family, prior_tau) // FAULT: the prior of the group's sds
                + scale_prior_lpdf(sigma | prior_sigma_family, prior_sigma)
                + lkj_partial_lpdf(append_row(partial, partial_other) | prior_rho, K, correlated); // log prior
}
model {
  #include normal/partial_model.stan
}
generated quantities {
  #include normal/partial_generated_quantities.stan
}
