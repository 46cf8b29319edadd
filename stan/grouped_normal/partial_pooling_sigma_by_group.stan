// Grouped normal data, partial pooling of locations and of scales, group values integrated out.
//   y[i] ~ normal(theta[group_idx[i]], sigma_group[group_idx[i]])        theta[j] ~ normal(mu, tau)
//   sigma_group[j] ~ lognormal(log(sigma), sigma_spread)                 mu, tau, sigma, sigma_spread ~ their priors
// Pooling: groups are draws from one population of locations (mu, tau) and one of scales (sigma, sigma_spread).
// Parameterisation: marginal in theta, as partial_pooling.stan. log_sigma_raw is the log sd standardised by what its
// population and n - 1 squared deviations say of it: centered for a large group, non-centered for one of few rows.
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
  vector[J] log_s = 0.5 * log((ss + square(prior_sigma[1])) ./ n); // log sd of the rows, finite for any rows
  real tau_raw_max = prior_tau_family == 4 ? 1 : positive_infinity(); // the uniform prior has an end
  real sigma_raw_max = prior_sigma_family == 4 ? 1 : positive_infinity(); // likewise
  real sigma_spread_raw_max = prior_sigma_spread_family == 4 ? 1 : positive_infinity(); // likewise
}
parameters {
  real<offset=prior_mu[1], multiplier=prior_mu[2]> mu; // location of the population (unit of the outcome)
  real<lower=0, upper=tau_raw_max> tau_raw; // tau in units of its prior's scale (no unit)
  real<lower=0, upper=sigma_raw_max> sigma_raw; // sigma in units of its prior's scale (no unit)
  real<lower=0, upper=sigma_spread_raw_max> sigma_spread_raw; // sigma_spread in units of its prior's (no unit)
  vector[J] log_sigma_raw; // standardised log sd of each group (no unit)
}
transformed parameters {
  real tau = prior_tau[1] * tau_raw; // scale of the population (unit of the outcome)
  real sigma = prior_sigma[1] * sigma_raw; // median of the groups' sds (unit of the outcome)
  real sigma_spread = prior_sigma_spread[1] * sigma_spread_raw; // sd of their logarithm (no unit)
  vector[J] sigma_group; // sd of rows in each group (unit of the outcome)
  {
    vector[J] w = 1 - inv(1 + 2 * use_likelihood * square(sigma_spread) * (n - 1)); // weight of log_s (no unit)
    sigma_group = sigma * exp(w .* (log_s - log(sigma)) + sigma_spread * sqrt(1 - w) .* log_sigma_raw);
  }
}
model {
  mu ~ normal(prior_mu[1], prior_mu[2]);
  tau ~ scale_prior(prior_tau_family, prior_tau); // tau / tau_raw is constant: no Jacobian is due
  sigma ~ scale_prior(prior_sigma_family, prior_sigma);
  sigma_spread ~ scale_prior(prior_sigma_spread_family, prior_sigma_spread);
  (log(sigma_group) - log(sigma)) / sigma_spread ~ std_normal(); // next: its Jacobian by log_sigma_raw
  target += -0.5 * sum(log1p(2 * use_likelihood * square(sigma_spread) * (n - 1)));
  if (use_likelihood) {
    ybar ~ normal(mu, sqrt(square(tau) + square(sigma_group) ./ n));
    target += -dot_product(n - 1, log(sigma_group)) - 0.5 * sum(ss ./ square(sigma_group));
  }
}
generated quantities {
  vector[generate ? J : 0] theta; // value of each group (unit of the outcome)
  vector[generate ? N : 0] log_lik; // log density of each row
  array[generate ? N : 0] real y_rep; // replicated rows (unit of the outcome)
  real lprior = normal_lpdf(mu | prior_mu[1], prior_mu[2]) // log prior of the top level
                + scale_prior_lpdf(tau | prior_tau_family, prior_tau)
                + scale_prior_lpdf(sigma | prior_sigma_family, prior_sigma)
                + scale_prior_lpdf(sigma_spread | prior_sigma_spread_family, prior_sigma_spread);
  if (generate) {
    vector[J] w = use_likelihood * square(tau) ./ (square(tau) + square(sigma_group) ./ n); // (no unit)
    theta = mu + w .* (ybar - mu) + tau * sqrt(1 - w) .* to_vector(normal_rng(rep_vector(0, J), 1));
    y_rep = normal_rng(theta[group_idx], sigma_group[group_idx]);
    for (i in 1 : N) {
      log_lik[i] = normal_lpdf(y[i] | theta[group_idx[i]], sigma_group[group_idx[i]]);
    }
  }
}
