// Disease mapping, complete pooling.
//
//   y[n] ~ poisson(expected[n] exp(theta[j])), or binomial(tested[n], inv_logit(theta[j])), j = group_idx[n]
//   or, by choice, neg_binomial_2(expected[n] exp(theta[j]), 1 / overdispersion^2)
//   theta[j] = mu + U[j] gamma
//
// Pooling: all areas share one rate; only their predictors let them differ. The map is not used.
// Parameterisation: mu itself, effects in units of their priors.
// Riebler et al. (2016), Statistical Methods in Medical Research 25:1145; Morris et al. (2019), Spatial and
// Spatio-temporal Epidemiology 31:100301.
functions {
  #include scale_prior.stanfunctions
  #include log_rising.stanfunctions
  #include mixed_counts.stanfunctions
  #include area_counts.stanfunctions
}
data {
  #include areas/data.stan
}
transformed data {
  real overdispersion_max = prior_overdispersion_family == 4 ? 1 : positive_infinity(); // only a uniform prior ends
}
parameters {
  real<offset=prior_mu[1], multiplier=prior_mu[2]> mu; // log rate ratio or log odds where predictors are 0
  vector[L] gamma_raw; // effects of U in units of their priors (no unit)
  vector<lower=0, upper=overdispersion_max>[overdispersed] overdispersion_raw; // in units of its prior's scale
}
transformed parameters {
  vector[overdispersed] overdispersion = prior_overdispersion[1] * overdispersion_raw; // sd of rates over their mean
  vector[L] gamma = prior_gamma_location + prior_gamma_scale .* gamma_raw; // of U (unit of mu per its unit)
  vector[J] theta = mu + U * gamma; // of each area (unit of mu)
}
model {
  mu ~ normal(prior_mu[1], prior_mu[2]);
  gamma ~ normal(prior_gamma_location, prior_gamma_scale);
  target += overdispersion_prior_lpdf(overdispersion | prior_overdispersion_family, prior_overdispersion);
  if (use_likelihood) {
    target += area_counts_lpmf(y | theta[group_idx], counted, tested, expected, overdispersion);
  }
}
generated quantities {
  vector[generate ? N : 0] log_lik; // log probability of each row
  array[generate ? N : 0] int y_rep; // replicated cases
  real lprior = overdispersion_prior_lpdf(overdispersion | prior_overdispersion_family, prior_overdispersion)
                + normal_lpdf(mu | prior_mu[1], prior_mu[2])
                + normal_lpdf(gamma | prior_gamma_location, prior_gamma_scale); // log prior of the top level
  for (n in 1 : (generate ? N : 0)) {
    log_lik[n] = area_count(y[n], theta[group_idx[n]], counted, tested[n], expected[n], overdispersion);
    y_rep[n] = area_count_rng(theta[group_idx[n]], counted, tested[n], expected[n], overdispersion);
  }
}
