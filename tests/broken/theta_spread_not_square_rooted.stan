// Planted fault: given its rows theta has the sd tau (1 - w); otherwise partial_pooling.
// Grouped normal data, partial pooling, group values integrated out.
//
//   y[i] ~ normal(theta[group_idx[i]], sigma)        theta[j] ~ normal(mu, tau)
//   mu ~ normal(prior_mu)                            tau, sigma ~ the chosen priors of a scale
//
// Pooling: groups are draws from one population, whose location mu and scale tau are learnt from all of them.
// Parameterisation: marginal. The rows of a group enter through their number n, mean ybar and sum of squares ss; with
// theta integrated out, ybar[j] ~ normal(mu, sqrt(tau^2 + sigma^2 / n[j])): three parameters however many groups and
// rows, and no funnel. theta is then drawn exactly, given mu, tau and sigma.
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
  real tau_raw_max = prior_tau_family == 4 ? 1 : positive_infinity(); // the uniform prior has an end
  real sigma_raw_max = prior_sigma_family == 4 ? 1 : positive_infinity(); // likewise
}
parameters {
  real<offset=prior_mu[1], multiplier=prior_mu[2]> mu; // location of the population (unit of the outcome)
  real<lower=0, upper=tau_raw_max> tau_raw; // tau in units of its prior's scale (no unit)
  real<lower=0, upper=sigma_raw_max> sigma_raw; // sigma in units of its prior's scale (no unit)
}
transformed parameters {
  real tau = prior_tau[1] * tau_raw; // scale of the population (unit of the outcome)
  real sigma = prior_sigma[1] * sigma_raw; // sd of rows within a group (unit of the outcome)
}
model {
  mu ~ normal(prior_mu[1], prior_mu[2]);
  tau ~ scale_prior(prior_tau_family, prior_tau); // tau / tau_raw is constant: no Jacobian is due
  sigma ~ scale_prior(prior_sigma_family, prior_sigma);
  if (use_likelihood) {
    ybar ~ normal(mu, sqrt(square(tau) + square(sigma) ./ n));
    target += -(N - J) * log(sigma) - 0.5 * sum(ss) / square(sigma);
  }
}
generated quantities {
  vector[generate ? J : 0] theta; // value of each group (unit of the outcome)
  vector[generate ? N : 0] log_lik; // log density of each row
  array[generate ? N : 0] real y_rep; // replicated rows (unit of the outcome)
  real lprior = normal_lpdf(mu | prior_mu[1], prior_mu[2]) // log prior of the top level
                + scale_prior_lpdf(tau | prior_tau_family, prior_tau)
                + scale_prior_lpdf(sigma | prior_sigma_family, prior_sigma);
  if (generate) {
    // Weight of the group's own mean; 0 when the likelihood is off: theta then comes from the population.
    vector[J] w = use_likelihood * square(tau) ./ (square(tau) + square(sigma) ./ n); // (no unit)
    // FAULT: (1 - w) for its square root
    theta = mu + w .* (ybar - mu) + tau * (1 - w) .* to_vector(normal_rng(rep_vector(0, J), 1));
    y_rep = normal_rng(theta[group_idx], sigma);
    for (i in 1 : N) {
      log_lik[i] = normal_lpdf(y[i] | theta[group_idx[i]], sigma);
    }
  }
}
