// Gamma-Poisson, no pooling.
//
//   y[n] ~ poisson(theta[group_idx[n]] * exposure[n])        theta[j] ~ gamma(prior_theta), fixed
//
// Pooling: groups share nothing; each has its own rate and its own fixed prior.
// Parameterisation: theta itself; the posterior is a product of gamma distributions, there is nothing to improve.
// It is sampled in units of its prior's mean, so that any unit of exposure samples alike.
// George, Makov and Smith (1993), Scandinavian Journal of Statistics 20:147; Gelman et al. (2013), Bayesian Data
// Analysis, 3rd ed., section 2.6.
functions {
  #include group_sum.stanfunctions
}
data {
  int<lower=1> N; // number of rows: counts with their exposure
  int<lower=1> J; // number of groups
  array[N] int<lower=1, upper=J> group_idx; // group of each row
  array[N] int<lower=0> y; // count of each row (events)
  vector<lower=0>[N] exposure; // time, area or number that the count comes from (unit of exposure)
  array[2] real<lower=0> prior_mu; // gamma(shape, rate) of mu with complete pooling (no unit; unit of exposure)
  array[2] real<lower=0> prior_theta; // gamma(shape, rate) of each theta without pooling (no unit; unit of exposure)
  int<lower=1, upper=7> prior_alpha_family; // which prior of alpha: see scale_prior.stanfunctions
  array[2] real<lower=0> prior_alpha; // its scale (no unit), its second argument
  int<lower=1, upper=7> prior_beta_family; // which prior of beta, none with an end: see scale_prior.stanfunctions
  array[2] real<lower=0> prior_beta; // its scale (unit of exposure), its second argument
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: log_lik, y_rep (and theta where it is integrated out) are left for afterwards
}
transformed data {
  vector[J] events = group_sum(to_vector(y), group_idx, J); // count of each group, its rows together (events)
  vector[J] total = group_sum(exposure, group_idx, J); // exposure of each group (unit of exposure)
}
parameters {
  vector<lower=0>[J] theta_raw; // rate of each group in units of its prior's mean (no unit)
}
transformed parameters {
  vector[J] theta = prior_theta[1] / prior_theta[2] * theta_raw; // rate of each group (events per unit of exposure)
}
model {
  theta ~ gamma(prior_theta[1], prior_theta[2]); // theta / theta_raw is constant: no Jacobian is due
  if (use_likelihood) {
    target += dot_product(events, log(theta)) - dot_product(total, theta);
  }
}
generated quantities {
  vector[generate ? N : 0] log_lik; // log probability of each row
  array[generate ? N : 0] int y_rep; // replicated counts (events)
  real lprior = gamma_lpdf(theta | prior_theta[1], prior_theta[2]); // log prior of the top level
  for (n in 1 : (generate ? N : 0)) {
    real rate = theta[group_idx[n]] * exposure[n]; // expected count (events)
    log_lik[n] = poisson_lpmf(y[n] | rate);
    y_rep[n] = poisson_rng(fmin(fmax(rate, 1e-300), 1e9)); // what poisson_rng takes; whole numbers end at 2^31
  }
}
