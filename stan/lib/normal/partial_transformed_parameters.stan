  vector[P] beta = prior_beta[ : , 1] + prior_beta[ : , 2] .* beta_raw; // common coefficients (outcome per column)
  vector[KG] tau = to_vector(prior_tau[ : , 1]) .* tau_raw; // sds between groups (units as beta)
  vector[KO] sd = to_vector(prior_sd[ : , 1]) .* sd_raw; // sds between levels of other factors (units as beta)
  real sigma = prior_sigma[1] * sigma_raw; // residual sd (unit of the outcome)
  real lprior = normal_priors_lpdf(beta | prior_beta)
                + scale_priors_lpdf(tau | prior_tau_family, prior_tau)
                + scale_priors_lpdf(sd | prior_sd_family, prior_sd)
                + scale_prior_lpdf(sigma | prior_sigma_family, prior_sigma)
                + lkj_partial_lpdf(append_row(partial, partial_other) | prior_rho, K, correlated); // log prior
