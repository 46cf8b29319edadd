// Planted fault: the Jacobian of beta = alpha / mu is missing; otherwise partial_pooling.
// Gamma-Poisson, partial pooling, rates integrated out.
//
//   y[n] ~ poisson(theta[group_idx[n]] * exposure[n])        theta[j] ~ gamma(alpha, beta)
//   alpha, beta ~ the chosen priors of positive quantities
//
// Pooling: groups are draws from one population, whose shape alpha and rate beta are learnt from all of them.
// Parameterisation: marginal. With theta integrated out a group's count is negative binomial: two parameters however
// many groups, and no funnel. Equal counts and exposures are evaluated once. theta is then drawn exactly.
// alpha and mu = alpha / beta are sampled, which the data tell apart: alpha and beta go up and down together. They are
// in units of the priors, so that any unit of exposure samples alike.
// George, Makov and Smith (1993), Scandinavian Journal of Statistics 20:147; Gelman et al. (2013), Bayesian Data
// Analysis, 3rd ed., section 2.6.
functions {
  #include group_sum.stanfunctions
  #include log_rising.stanfunctions
  #include scale_prior.stanfunctions
  #include tally.stanfunctions
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
  real alpha_raw_max = prior_alpha_family == 4 ? 1 : positive_infinity(); // only the uniform prior has an end
  vector[J] events = group_sum(to_vector(y), group_idx, J); // count of each group, its rows together (events)
  vector[J] total = group_sum(exposure, group_idx, J); // exposure of each group (unit of exposure)
  matrix[rows(tally(events, events)), 3] counts = tally(events, events); // distinct counts; times
  matrix[rows(tally(total, events)), 3] sizes = tally(total, events); // distinct exposures; times; events of those
}
parameters {
  real<lower=0, upper=alpha_raw_max> alpha_raw; // shape of the population in units of its prior's scale (no unit)
  real<lower=0> mu_raw; // mean rate of the population in units of the priors of alpha and beta (no unit)
}
transformed parameters {
  real alpha = prior_alpha[1] * alpha_raw; // shape of the population; 1 / alpha is the squared variation (no unit)
  real mu = prior_alpha[1] / prior_beta[1] * mu_raw; // mean rate of the population (events per unit of exposure)
  real beta = alpha / mu; // rate of the population: it weighs as much exposure (unit of exposure)
}
model {
  alpha ~ scale_prior(prior_alpha_family, prior_alpha); // alpha / alpha_raw is constant: no Jacobian is due
  beta ~ scale_prior(prior_beta_family, prior_beta);
  // FAULT: mu is sampled, and the Jacobian alpha / mu^2 of beta = alpha / mu is due
  if (use_likelihood) {
    target += sum(events) * log(mu) + log_rising(alpha, counts)
              - dot_product(alpha * sizes[ : , 2] + sizes[ : , 3], log1p(sizes[ : , 1] / beta));
  }
}
generated quantities {
  vector[generate ? J : 0] theta; // rate of each group (events per unit of exposure)
  vector[generate ? N : 0] log_lik; // log probability of each row
  array[generate ? N : 0] int y_rep; // replicated counts (events)
  real tau = sqrt(alpha) / beta; // sd of the rates in the population (events per unit of exposure)
  real lprior = scale_prior_lpdf(alpha | prior_alpha_family, prior_alpha)
                + scale_prior_lpdf(beta | prior_beta_family, prior_beta); // log prior of the top level
  for (j in 1 : (generate ? J : 0)) {
    theta[j] = gamma_rng(alpha + use_likelihood * events[j], beta + use_likelihood * total[j]);
  }
  for (n in 1 : (generate ? N : 0)) {
    real rate = theta[group_idx[n]] * exposure[n]; // expected count (events)
    log_lik[n] = poisson_lpmf(y[n] | rate);
    y_rep[n] = poisson_rng(fmin(fmax(rate, 1e-300), 1e9)); // what poisson_rng takes; whole numbers end at 2^31
  }
}
