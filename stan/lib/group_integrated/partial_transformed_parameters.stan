  vector[KG] tau = to_vector(prior_tau[ : , 1]) .* tau_raw; // sds between groups (units as beta)
  vector[KO] sd = to_vector(prior_sd[ : , 1]) .* sd_raw; // sds between levels of other factors (units as beta)
  vector[P] shift // means over levels of other factors, by common column (units as beta)
    = shift_of_common(sampled, cholesky_factors(append_row(tau, sd), append_row(partial, partial_other), K, correlated),
                      K, L, centered, G, G, other_own, P);
  vector[P] beta = prior_beta[ : , 1] + prior_beta[ : , 2] .* beta_raw - shift; // common coefficients (unit of eta)
  real lprior = normal_priors_lpdf(beta | prior_beta)
                + scale_priors_lpdf(tau | prior_tau_family, prior_tau)
                + scale_priors_lpdf(sd | prior_sd_family, prior_sd)
                + lkj_partial_lpdf(append_row(partial, partial_other) | prior_rho, K, correlated); // log prior
