// Disease mapping, partial pooling with space (BYM2).
//
//   y[n] ~ poisson(expected[n] exp(theta[j])), or binomial(tested[n], inv_logit(theta[j])), j = group_idx[n]
//   or, by choice, neg_binomial_2(expected[n] exp(theta[j]), 1 / overdispersion^2)
//   theta[j] = mu + U[j] gamma + deviation[place[j]]
//   deviation[a] = tau (sqrt(rho / scaling[a]) phi[a] + sqrt(1 - rho) normal(0, 1)), of an island tau normal(0, 1)
//   phi ~ intrinsic autoregression: exp(-sum of (phi[a] - phi[b])^2 / 2 over neighbours), summing to 0 in each piece
//
// Pooling: areas are draws from one population, neighbours alike: rho is the share of the variance that is spatial.
// Parameterisation: non-centered. phi = basis * standard normals, which sum to zero exactly, islands have none;
// of counts that spread more, deviation_raw is about what each count leads to expect: see near_counts.
// Riebler et al. (2016), Statistical Methods in Medical Research 25:1145; Morris et al. (2019), Spatial and
// Spatio-temporal Epidemiology 31:100301; of islands Freni-Sterrantino et al. (2018), the same 26:25.
functions {
  #include scale_prior.stanfunctions
  #include log_rising.stanfunctions
  #include mixed_counts.stanfunctions
  #include area_counts.stanfunctions
  #include near_counts.stanfunctions
}
data {
  #include areas/data.stan
}
transformed data {
  real tau_raw_max = prior_tau_family == 4 ? 1 : positive_infinity(); // only the uniform prior has an end
  real overdispersion_max = prior_overdispersion_family == 4 ? 1 : positive_infinity(); // likewise
  vector[A] joined = 1 - to_vector(island); // 1: the area has neighbours
  vector[A] count = rep_vector(0, A); // of each area: cases and a half, for the scale of deviation_raw; 0 without a row
  vector[A] own = rep_vector(0, A); // log of its own rate about the expected number
  matrix[A, L] V = rep_matrix(0, A, L); // its predictors (their units)
  count[place[group_idx]] = to_vector(y) + 0.5;
  own[place[group_idx]] = log((to_vector(y) + 0.5) ./ expected);
  V[place] = U;
}
parameters {
  real<offset=prior_mu[1], multiplier=prior_mu[2]> mu; // mean where predictors are 0 (log rate ratio or odds)
  vector[L] gamma_raw; // effects of U in units of their priors (no unit)
  real<lower=0, upper=tau_raw_max> tau_raw; // sd of the deviations in units of its prior's scale (no unit)
  real<lower=0, upper=1> rho; // share of the variance of the deviations that is spatial
  vector[B] phi_raw; // coordinates of the structured effects (no unit)
  vector[A] deviation_raw; // standardised unstructured effects, as near_counts has them of such counts (no unit)
  vector<lower=0, upper=overdispersion_max>[overdispersed] overdispersion_raw; // in units of its prior's scale
}
transformed parameters {
  vector[overdispersed] overdispersion = prior_overdispersion[1] * overdispersion_raw; // sd of rates over their mean
  vector[L] gamma = prior_gamma_location + prior_gamma_scale .* gamma_raw; // of U (unit of mu per its unit)
  real tau = prior_tau[1] * tau_raw; // sd of the deviations of areas (unit of mu)
  vector[A] deviation = tau * (sqrt(rho ./ scaling) .* (basis * phi_raw)
                               + sqrt(1 - rho * joined)
                                 .* (overdispersed ? near_counts(deviation_raw, own - mu - V * gamma
                                                       - tau * sqrt(rho ./ scaling) .* (basis * phi_raw),
                                                       tau * sqrt(1 - rho * joined), count, overdispersion[1])
                                     : deviation_raw)); // of each area on the map (unit of mu)
  vector[J] theta = mu + U * gamma + deviation[place]; // of each area with a row (unit of mu)
  real lprior = overdispersion_prior_lpdf(overdispersion | prior_overdispersion_family, prior_overdispersion)
                + normal_lpdf(mu | prior_mu[1], prior_mu[2])
                + normal_lpdf(gamma | prior_gamma_location, prior_gamma_scale)
                + scale_prior_lpdf(tau | prior_tau_family, prior_tau)
                + beta_lpdf(rho | prior_rho[1], prior_rho[2]); // log prior of the top level
}
model {
  target += lprior; // tau / tau_raw and gamma / gamma_raw change by constants: no Jacobian is due
  phi_raw ~ std_normal();
  if (overdispersed) {
    deviation_raw ~ near_counts(own - mu - V * gamma - tau * sqrt(rho ./ scaling) .* (basis * phi_raw),
                                tau * sqrt(1 - rho * joined), count, overdispersion[1]);
  } else {
    deviation_raw ~ std_normal();
  }
  if (use_likelihood) {
    target += area_counts_lpmf(y | theta[group_idx], counted, tested, expected, overdispersion);
  }
}
generated quantities {
  vector[generate ? N : 0] log_lik; // log probability of each row
  array[generate ? N : 0] int y_rep; // replicated cases
  for (n in 1 : (generate ? N : 0)) {
    log_lik[n] = area_count(y[n], theta[group_idx[n]], counted, tested[n], expected[n], overdispersion);
    y_rep[n] = area_count_rng(theta[group_idx[n]], counted, tested[n], expected[n], overdispersion);
  }
}
