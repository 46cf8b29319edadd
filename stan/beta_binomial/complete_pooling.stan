// Beta-binomial, complete pooling.
//
//   y[n] ~ binomial(trials[n], mu)        mu ~ beta(prior_mu)
//
// Pooling: all groups share one rate; they differ by chance only.
// Parameterisation: mu itself; the posterior is a beta distribution of the summed counts, there is nothing to improve.
// Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 2.4.
data {
  int<lower=1> N; // number of rows: successes of trials
  int<lower=1> J; // number of groups
  array[N] int<lower=1, upper=J> group_idx; // group of each row
  array[N] int<lower=0> y; // successes in each row (trials)
  array[N] int<lower=1> trials; // trials in each row, at least its successes
  array[2] real<lower=0> prior_mu; // beta(a, b) of mu (no unit)
  int<lower=1, upper=7> prior_kappa_family; // which prior of kappa: see scale_prior.stanfunctions
  array[2] real<lower=0> prior_kappa; // its scale (trials), its second argument
  array[2] real<lower=0> prior_theta; // beta(a, b) of each theta without pooling (no unit)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: log_lik, y_rep (and theta where it is integrated out) are left for afterwards
}
transformed data {
  real successes = sum(to_vector(y)); // successes in all rows (trials)
  real failures = sum(to_vector(trials)) - successes; // failures in all rows (trials)
}
parameters {
  real<lower=0, upper=1> mu; // rate shared by all groups (no unit)
}
model {
  mu ~ beta(prior_mu[1], prior_mu[2]);
  if (use_likelihood) {
    target += successes * log(mu) + failures * log1m(mu);
  }
}
generated quantities {
  vector[J] theta = rep_vector(mu, J); // rate of each group: mu in every one (no unit)
  vector[generate ? N : 0] log_lik; // log probability of each row
  array[generate ? N : 0] int y_rep; // replicated successes (trials)
  real lprior = beta_lpdf(mu | prior_mu[1], prior_mu[2]); // log prior of the top level
  for (n in 1 : (generate ? N : 0)) {
    log_lik[n] = binomial_lpmf(y[n] | trials[n], theta[group_idx[n]]);
    y_rep[n] = binomial_rng(trials[n], theta[group_idx[n]]);
  }
}
