// Disease mapping, no pooling.
//
//   y[n] ~ poisson(expected[n] exp(theta[j])), or binomial(tested[n], inv_logit(theta[j])), j = group_idx[n]
//   or, by choice, neg_binomial_2(expected[n] exp(theta[j]), 1 / overdispersion^2)
//   theta[j] ~ normal(prior_theta), fixed and wide
//
// Pooling: areas share nothing; each has a rate of its own with a fixed prior. Predictors of areas say nothing beyond
// the area's own rate and are left out, and the map is not used.
// Parameterisation: theta in units of its prior; of counts that spread more, about what each count leads to expect.
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
  real overdispersion_max = prior_overdispersion_family == 4 ? 1 : positive_infinity(); // only a uniform prior ends
  vector[J] width = rep_vector(prior_theta[2], J); // sd of the prior of each theta (unit of mu)
  vector[J] count; // of each area: cases and a half, for the scale of theta_raw where counts spread more
  vector[J] own; // log of its own rate about the expected number
  count[group_idx] = to_vector(y) + 0.5;
  own[group_idx] = log((to_vector(y) + 0.5) ./ expected);
}
parameters {
  vector[J] theta_raw; // of each area in units of its prior, as near_counts has it of counts that spread more (no unit)
  vector<lower=0, upper=overdispersion_max>[overdispersed] overdispersion_raw; // in units of its prior's scale
}
transformed parameters {
  vector[overdispersed] overdispersion = prior_overdispersion[1] * overdispersion_raw; // sd of rates over their mean
  vector[J] theta = prior_theta[1] + prior_theta[2] * (overdispersed ? near_counts(theta_raw, own - prior_theta[1],
                                                                         width, count, overdispersion[1])
                                                       : theta_raw); // log rate ratio or log odds of each area
}
model {
  if (overdispersed) {
    theta_raw ~ near_counts(own - prior_theta[1], width, count, overdispersion[1]);
  } else {
    theta_raw ~ std_normal();
  }
  target += overdispersion_prior_lpdf(overdispersion | prior_overdispersion_family, prior_overdispersion);
  if (use_likelihood) {
    target += area_counts_lpmf(y | theta[group_idx], counted, tested, expected, overdispersion);
  }
}
generated quantities {
  vector[generate ? N : 0] log_lik; // log probability of each row
  array[generate ? N : 0] int y_rep; // replicated cases
  real lprior = overdispersion_prior_lpdf(overdispersion | prior_overdispersion_family, prior_overdispersion)
                + normal_lpdf(theta | prior_theta[1], prior_theta[2]); // log prior of the top level
  for (n in 1 : (generate ? N : 0)) {
    log_lik[n] = area_count(y[n], theta[group_idx[n]], counted, tested[n], expected[n], overdispersion);
    y_rep[n] = area_count_rng(theta[group_idx[n]], counted, tested[n], expected[n], overdispersion);
  }
}
