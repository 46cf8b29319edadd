  vector[KO] sd = to_vector(prior_sd[ : , 1]) .* sd_raw; // sds between levels of other factors (units as beta)
  vector[P] shift // means over levels of other factors, by common column (units as beta)
    = shift_of_common(sampled,
                      cholesky_factors(append_row(prior_theta[ : , 2], sd), partial_other, K, other_correlated),
                      K, L, centered, G, G, other_own, P);
  vector[PS] beta_shared // coefficients of shared columns (unit of eta per unit of the column)
    = prior_beta[shared, 1] + prior_beta[shared, 2] .* beta_shared_raw - shift[shared];
  real lprior = normal_priors_lpdf(beta_shared | prior_beta[shared])
                + scale_priors_lpdf(sd | prior_sd_family, prior_sd)
                + lkj_partial_lpdf(partial_other | prior_rho, K, other_correlated); // log prior of the top level
