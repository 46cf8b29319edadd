  vector[P] beta = prior_beta[ : , 1] + prior_beta[ : , 2] .* beta_raw; // common coefficients (outcome per column)
  vector[KO] sd = to_vector(prior_sd[ : , 1]) .* sd_raw; // sds between levels of other factors (units as beta)
  real sigma = prior_sigma[1] * sigma_raw; // residual sd (unit of the outcome)
  real lprior = normal_priors_lpdf(beta | prior_beta)
                + scale_priors_lpdf(sd | prior_sd_family, prior_sd)
                + scale_prior_lpdf(sigma | prior_sigma_family, prior_sigma)
                + lkj_partial_lpdf(partial_other | prior_rho, K, other_correlated); // log prior
