// Rows in units in groups, complete pooling.
//
//   y[i] ~ normal(mu, sigma)        mu ~ normal(prior_mu)        sigma ~ the chosen prior of a scale
//
// Pooling: all rows share one location and one scale, whatever their unit and group.
// Parameterisation: mu and sigma themselves; they are nearly independent, there is nothing to improve.
// Location and scales are sampled on the scale of their priors, so that any unit of the outcome samples alike.
// Gelman and Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, sections 12.5 and 22.4.
functions {
  #include scale_prior.stanfunctions
}
data {
  int<lower=1> N; // number of rows
  int<lower=1> M; // number of units
  int<lower=1> J; // number of groups
  array[N] int<lower=1, upper=M> unit_idx; // unit of each row
  array[M] int<lower=1, upper=J> unit_group; // group of each unit
  array[N] int<lower=1, upper=J> group_idx; // group of each row
  vector[N] y; // outcome of each row (unit of the outcome)
  array[2] real prior_mu; // normal(location, scale) of mu (unit of the outcome)
  int<lower=1, upper=7> prior_tau_family; // which prior of tau: see scale_prior.stanfunctions
  array[2] real<lower=0> prior_tau; // its scale (unit of the outcome), its second argument
  int<lower=1, upper=7> prior_tau_unit_family; // which prior of tau_unit; without pooling of each group's
  array[2] real<lower=0> prior_tau_unit; // its scale (unit of the outcome), its second argument
  int<lower=1, upper=7> prior_sigma_family; // which prior of sigma; without pooling of each group's
  array[2] real<lower=0> prior_sigma; // its scale (unit of the outcome), its second argument
  array[2] real prior_theta; // normal(location, scale) of each theta without pooling (unit of the outcome)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: log_lik, y_rep, and values integrated out, are left to be drawn afterwards
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
    y_rep = normal_rng(rep_vector(mu, N), sigma);
    for (i in 1 : N) {
      log_lik[i] = normal_lpdf(y[i] | mu, sigma);
    }
  }
}
