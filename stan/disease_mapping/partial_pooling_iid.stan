// Disease mapping, partial pooling without space.
//
//   y[n] ~ poisson(expected[n] exp(theta[j])), or binomial(tested[n], inv_logit(theta[j])), j = group_idx[n]
//   or, by choice, neg_binomial_2(expected[n] exp(theta[j]), 1 / overdispersion^2)
//   theta[j] ~ normal(mu + U[j] gamma, tau)
//
// Pooling: areas are draws from one population, whose mean and sd are learnt, wherever they lie. The map is not used.
// Parameterisation: non-centered, deviations in units of tau: areas have few cases; of counts that spread more, about
// what each count leads to expect, for overdispersion and tau change places.
// Riebler et al. (2016), Statistical Methods in Medical Research 25:1145; Morris et al. (2019), Spatial and
// Spatio-temporal Epidemiology 31:100301.
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
  vector[J] count; // of each area: cases and a half, for the scale of theta_raw where counts spread more
  vector[J] own; // log of its own rate about the expected number
  count[group_idx] = to_vector(y) + 0.5;
  own[group_idx] = log((to_vector(y) + 0.5) ./ expected);
}
parameters {
  real<offset=prior_mu[1], multiplier=prior_mu[2]> mu; // mean where predictors are 0 (log rate ratio or odds)
  vector[L] gamma_raw; // effects of U in units of their priors (no unit)
  real<lower=0, upper=tau_raw_max> tau_raw; // sd of the deviations in units of its prior's scale (no unit)
  vector[J] theta_raw; // standardised deviation of each area, as near_counts has it of such counts (no unit)
  vector<lower=0, upper=overdispersion_max>[overdispersed] overdispersion_raw; // in units of its prior's scale
}
transformed parameters {
  vector[overdispersed] overdispersion = prior_overdispersion[1] * overdispersion_raw; // sd of rates over their mean
  vector[L] gamma = prior_gamma_location + prior_gamma_scale .* gamma_raw; // of U (unit of mu per its unit)
  real tau = prior_tau[1] * tau_raw; // sd of the deviations of areas (unit of mu)
  vector[J] theta = mu + U * gamma + tau * (overdispersed ? near_counts(theta_raw, own - mu - U * gamma,
                                                              rep_vector(tau, J), count, overdispersion[1])
                                            : theta_raw); // of each area (unit of mu)
  real lprior = overdispersion_prior_lpdf(overdispersion | prior_overdispersion_family, prior_overdispersion)
                + normal_lpdf(mu | prior_mu[1], prior_mu[2])
                + normal_lpdf(gamma | prior_gamma_location, prior_gamma_scale)
                + scale_prior_lpdf(tau | prior_tau_family, prior_tau); // log prior of the top level
}
model {
  target += lprior; // tau / tau_raw and gamma / gamma_raw change by constants: no Jacobian is due
  if (overdispersed) {
    theta_raw ~ near_counts(own - mu - U * gamma, rep_vector(tau, J), count, overdispersion[1]);
  } else {
    theta_raw ~ std_normal();
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
