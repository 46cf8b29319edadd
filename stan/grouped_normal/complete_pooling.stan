// Grouped normal data, complete pooling.
//
//   y[i] ~ normal(mu, sigma)
//   mu ~ normal(prior_mu)                 sigma ~ the chosen prior of a scale
//
// Pooling: all rows share one location and one scale, whatever their group.
// Parameterisation: mu and sigma themselves; they are nearly independent, there is nothing to improve.
// Location and scales are sampled on the scale of their priors, so that any unit of the outcome samples alike.
// Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 5.3, 5.4 and 11.6.
functions {
  #include scale_prior.stanfunctions
}
data {
  int<lower=1> N; // number of rows
  int<lower=1> J; // number of groups
  array[N] int<lower=1, upper=J> group_idx; // group of each row
  vector[N] y; // outcome of each row (unit of the outcome)
  array[2] real prior_mu; // normal(location, scale) of mu (unit of the outcome)
  int<lower=1, upper=7> prior_tau_family; // which prior of tau: see scale_prior.stanfunctions
  array[2] real<lower=0> prior_tau; // its scale (unit of the outcome), its second argument
  int<lower=1, upper=7> prior_sigma_family; // which prior of sigma
  array[2] real<lower=0> prior_sigma; // its scale (unit of the outcome), its second argument
  int<lower=1, upper=7> prior_sigma_spread_family; // which prior of sigma_spread
  array[2] real<lower=0> prior_sigma_spread; // its scale (no unit: of the logarithm), its second argument
  array[2] real prior_theta; // normal(location, scale) of each theta without pooling (unit of the outcome)
  int<lower=1, upper=7> prior_sigma_group_family; // which prior of each sigma_group without pooling
  array[2] real<lower=0> prior_sigma_group; // its scale (unit of the outcome), its second argument
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: log_lik, y_rep, and theta where it is integrated out, are drawn afterwards
}
transformed data {
  real sigma_raw_max = prior_sigma_family == 4 ? 1 : positive_infinity(); // the uniform prior has an end
}
parameters {
  real<offset=prior_mu[1], multiplier=prior_mu[2]> mu; // value shared by all groups (unit of the outcome)
  real<lower=0, upper=sigma_raw_max> sigma_raw; // sigma in units of its prior's scale (no unit)
}
transformed parameters {
  real sigma = prior_sigma[1] * sigma_raw; // sd of all rows (unit of the outcome)
}
model {
  mu ~ normal(prior_mu[1], prior_mu[2]);
  sigma ~ scale_prior(prior_sigma_family, prior_sigma); // sigma / sigma_raw is constant: no Jacobian is due
  if (use_likelihood) {
    y ~ normal(mu, sigma);
  }
}
generated quantities {
  vector[J] theta = rep_vector(mu, J); // value of each group: mu in every one (unit of the outcome)
  vector[generate ? N : 0] log_lik; // log density of each row
  array[generate ? N : 0] real y_rep; // replicated rows (unit of the outcome)
  real lprior = normal_lpdf(mu | prior_mu[1], prior_mu[2]) // log prior of the top level
                + scale_prior_lpdf(sigma | prior_sigma_family, prior_sigma);
  if (generate) {
    y_rep = normal_rng(theta[group_idx], sigma);
    for (i in 1 : N) {
      log_lik[i] = normal_lpdf(y[i] | theta[group_idx[i]], sigma);
    }
  }
}
