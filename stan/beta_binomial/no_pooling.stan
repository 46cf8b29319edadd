// Beta-binomial, no pooling.
//
//   y[n] ~ binomial(trials[n], theta[group_idx[n]])        theta[j] ~ beta(prior_theta), fixed
//
// Pooling: groups share nothing; each has its own rate and its own fixed prior.
// Parameterisation: theta itself; the posterior is a product of beta distributions, there is nothing to improve.
// Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 2.4.
functions {
  #include group_sum.stanfunctions
}
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
  vector[J] successes = group_sum(to_vector(y), group_idx, J); // successes in each group, its rows together (trials)
  vector[J] total = group_sum(to_vector(trials), group_idx, J); // trials in each group (trials)
}
parameters {
  vector<lower=0, upper=1>[J] theta; // rate of each group (no unit)
}
model {
  theta ~ beta(prior_theta[1], prior_theta[2]);
  if (use_likelihood) {
    target += dot_product(successes, log(theta)) + dot_product(total - successes, log1m(theta));
  }
}
generated quantities {
  vector[generate ? N : 0] log_lik; // log probability of each row
  array[generate ? N : 0] int y_rep; // replicated successes (trials)
  real lprior = beta_lpdf(theta | prior_theta[1], prior_theta[2]); // log prior of the top level
  for (n in 1 : (generate ? N : 0)) {
    log_lik[n] = binomial_lpmf(y[n] | trials[n], theta[group_idx[n]]);
    y_rep[n] = binomial_rng(trials[n], theta[group_idx[n]]);
  }
}
