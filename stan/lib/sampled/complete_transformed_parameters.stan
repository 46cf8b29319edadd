  vector[KO] sd = to_vector(prior_sd[ : , 1]) .* sd_raw; // sds between levels of other factors (units as beta)
  vector[P] shift // means over levels of other factors, by common column (units as beta)
    = shift_of_common(sampled, cholesky_factors(append_row(rep_vector(0, KG), sd), partial_other, K, other_correlated),
                      K, L, centered, G, G, other_own, P);
  vector[P] beta = prior_beta[ : , 1] + prior_beta[ : , 2] .* beta_raw - shift; // common coefficients (unit of eta)
  real lprior = normal_priors_lpdf(beta | prior_beta)
                + scale_priors_lpdf(sd | prior_sd_family, prior_sd)
                + lkj_partial_lpdf(partial_other | prior_rho, K, other_correlated); // log prior of the top level
