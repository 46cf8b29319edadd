// Planted fault: only the last two groups are pooled; otherwise complete_pooling.
// Normal means, complete pooling.
//
//   y[j] ~ normal(mu, se[j])        mu ~ normal(prior_mu)
//
// Pooling: all groups share one value; the groups differ by measurement error only.
// Parameterisation: mu itself; the posterior is normal, there is nothing to improve.
// The data say of mu what their precision-weighted mean says. Given it mu is normal with a known mean and sd, and is
// sampled on that scale, where the sampler meets a standard normal whatever the standard errors are.
// Rubin (1981), Journal of Educational Statistics 6:377; Gelman et al. (2013), Bayesian Data Analysis, section 5.5.
data {
  int<lower=1> J; // number of groups; each has one estimate
  vector[J] y; // estimate of each group (unit of the outcome)
  vector<lower=0>[J] se; // its standard error, taken as known (unit of the outcome)
  array[2] real prior_mu; // normal(location, scale) of mu (unit of the outcome)
  int<lower=1, upper=7> prior_tau_family; // which prior of tau: see scale_prior.stanfunctions
  array[2] real<lower=0> prior_tau; // its scale (unit of the outcome), its second argument
  array[2] real prior_theta; // normal(location, scale) of each theta without pooling (unit of the outcome)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: theta, log_lik and y_rep are left to be drawn afterwards
}
transformed data {
  real y_bar = sum(y ./ square(se)) / sum(inv_square(se)); // precision-weighted mean (unit of the outcome)
  real se_bar = inv_sqrt(sum(inv_square(se))); // its standard error (unit of the outcome)
  real centre = prior_mu[1]; // mean of mu given y: eq. 2.12 there (unit of the outcome)
  real spread = prior_mu[2]; // its sd; both are the prior's, prior only (unit of the outcome)
  if (use_likelihood) {
    real variance = square(prior_mu[2]) + square(se_bar); // of y_bar (square of the unit of the outcome)
    centre = (square(se_bar) * prior_mu[1] + square(prior_mu[2]) * y_bar) / variance;
    spread = prior_mu[2] * se_bar / sqrt(variance);
  }
}
parameters {
  real<offset=centre, multiplier=spread> mu; // value shared by all groups (unit of the outcome)
  vector<offset=prior_mu[1], multiplier=prior_mu[2]>[J - 2] theta_own; // FAULT: groups that are not pooled
}
transformed parameters {
  vector[J] theta = append_row(theta_own, [mu, mu]'); // value of each group (unit of the outcome)
}
model {
  theta_own ~ normal(prior_mu[1], prior_mu[2]);
  mu ~ normal(prior_mu[1], prior_mu[2]);
  if (use_likelihood) {
    y ~ normal(theta, se);
  }
}
generated quantities {
  vector[generate ? J : 0] log_lik; // log density of each estimate
  array[generate ? J : 0] real y_rep; // replicated estimates (unit of the outcome)
  real lprior = normal_lpdf(mu | prior_mu[1], prior_mu[2]); // log prior of the top level
  if (generate) {
    y_rep = normal_rng(theta, se);
    for (j in 1 : J) {
      log_lik[j] = normal_lpdf(y[j] | theta[j], se[j]);
    }
  }
}
