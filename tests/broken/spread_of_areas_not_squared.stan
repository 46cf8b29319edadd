// Planted fault: overdispersion is taken for its square; otherwise partial_pooling.
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
  int<lower=1> N; // number of rows, one of each area that has one
  int<lower=1> J; // number of areas that have a row
  int<lower=0> L; // number of predictors of areas
  int<lower=1> A; // number of areas on the map, with or without a row
  int<lower=1> B; // number of coordinates of the structured effects: areas less connected pieces of the map
  array[N] int<lower=1, upper=J> group_idx; // area of each row, among those that have one
  array[J] int<lower=1, upper=A> place; // where these areas are on the map
  matrix[J, L] U; // predictors of areas (their units)
  int<lower=0, upper=1> counted; // 1: counts beside expected numbers, Poisson; 0: cases of tested, binomial
  int<lower=0, upper=counted> overdispersed; // 1: counts spread more than Poisson counts, negative binomial
  array[N] int<lower=0> tested; // number tested (cases); 0 of counts
  vector<lower=0>[N] expected; // expected number (cases); of cases of tested, the number tested
  array[N] int<lower=0> y; // cases
  matrix[A, B] basis; // times standard normals: effects of unit precision that sum to 0 in each piece (no unit)
  vector<lower=0>[A] scaling; // geometric mean of their variances in the piece of each area (no unit)
  array[A] int<lower=0, upper=1> island; // 1: the area has no neighbours
  array[2] real prior_mu; // normal(location, scale) of mu (log rate ratio, or log odds)
  vector[L] prior_gamma_location; // normal prior of gamma (unit of mu per unit of the predictor)
  vector<lower=0>[L] prior_gamma_scale; // its scale (same unit)
  int<lower=1, upper=7> prior_tau_family; // which prior of tau: see scale_prior.stanfunctions
  array[2] real<lower=0> prior_tau; // its scale (unit of mu), its second argument
  array[2] real<lower=0> prior_rho; // beta(a, b) of rho (no unit)
  int<lower=1, upper=7> prior_overdispersion_family; // which prior of overdispersion, where there is one
  array[2] real<lower=0> prior_overdispersion; // its scale (no unit), its second argument
  array[2] real prior_theta; // normal(location, scale) of each theta without pooling (unit of mu)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: log_lik and y_rep are left out
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
    // FAULT: overdispersion is taken for its square
    target += area_counts_lpmf(y | theta[group_idx], counted, tested, expected, sqrt(overdispersion));
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
