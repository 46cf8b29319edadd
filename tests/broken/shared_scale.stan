// Planted fault: one residual scale is shared by all groups; otherwise no_pooling.
// Grouped normal data, no pooling.
//
//   y[i] ~ normal(theta[group_idx[i]], sigma_group[group_idx[i]])
//   theta[j] ~ normal(prior_theta), fixed and wide        sigma_group[j] ~ the chosen prior of a scale, fixed
//
// Pooling: groups share nothing; each has its own location and its own scale, with fixed priors.
// Parameterisation: given sigma_group, theta is normal with known mean and sd; theta_raw is its standardised deviation
// from these, so that a group of one row makes no funnel. sigma_group itself; groups are independent.
// Location and scales are sampled on the scale of their priors, so that any unit of the outcome samples alike.
// Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 5.3, 5.4 and 11.6.
functions {
  #include scale_prior.stanfunctions
  #include group_sum.stanfunctions
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
  vector[J] n = group_sum(rep_vector(1, N), group_idx, J); // rows of each group
  vector[J] ybar = group_sum(y, group_idx, J) ./ n; // their mean (unit of the outcome)
  vector[J] ss = group_sum(square(y - ybar[group_idx]), group_idx, J); // sum of squares about it (unit squared)
  real sigma_group_raw_max = prior_sigma_group_family == 4 ? 1 : positive_infinity(); // the uniform prior has an end
}
parameters {
  vector[J] theta_raw; // standardised deviation of each theta from its mean given sigma_group (no unit)
  // FAULT: one scale, which lets groups learn from each other
  real<lower=0, upper=sigma_group_raw_max> sigma_group_raw; // sigma_group in units of its prior's (no unit)
}
transformed parameters {
  vector[J] sigma_group = rep_vector(prior_sigma_group[1] * sigma_group_raw, J); // sd of rows in each group (unit of y)
  vector[J] theta; // value of each group (unit of the outcome)
  {
    // Weight of the group's own mean; 0 when the likelihood is off: theta then comes from its prior.
    vector[J] w = use_likelihood ./ (1 + square(sigma_group / prior_theta[2]) ./ n); // (no unit)
    theta = prior_theta[1] + w .* (ybar - prior_theta[1]) + prior_theta[2] * sqrt(1 - w) .* theta_raw;
  }
}
model {
  theta_raw ~ std_normal();
  for (j in 1 : 1) {
    sigma_group[j] ~ scale_prior(prior_sigma_group_family, prior_sigma_group); // no Jacobian is due
  }
  if (use_likelihood) {
    // p(theta) p(y | theta) = p(y) p(theta | y): the latter is theta_raw's, the former is here.
    ybar ~ normal(prior_theta[1], sqrt(square(prior_theta[2]) + square(sigma_group) ./ n));
    target += -dot_product(n - 1, log(sigma_group)) - 0.5 * sum(ss ./ square(sigma_group));
  }
}
generated quantities {
  vector[generate ? N : 0] log_lik; // log density of each row
  array[generate ? N : 0] real y_rep; // replicated rows (unit of the outcome)
  real lprior = normal_lpdf(theta | prior_theta[1], prior_theta[2]); // log prior of the top level
  for (j in 1 : J) {
    lprior += scale_prior_lpdf(sigma_group[j] | prior_sigma_group_family, prior_sigma_group);
  }
  if (generate) {
    y_rep = normal_rng(theta[group_idx], sigma_group[group_idx]);
    for (i in 1 : N) {
      log_lik[i] = normal_lpdf(y[i] | theta[group_idx[i]], sigma_group[group_idx[i]]);
    }
  }
}
