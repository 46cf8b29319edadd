// Planted fault: given its rows a unit has the sd tau_unit (1 - u); otherwise partial_pooling.
// Rows in units in groups, partial pooling, units and groups integrated out.
//   y[i] ~ normal(theta_unit[unit_idx[i]], sigma)        theta_unit[u] ~ normal(theta[unit_group[u]], tau_unit)
//   theta[j] ~ normal(mu, tau)        mu ~ normal(prior_mu)        tau, tau_unit, sigma ~ their priors
// Pooling: groups are draws from one population, units from their group; all scales are learnt from all groups.
// Parameterisation: marginal. ybar[u] ~ normal(theta[j], sqrt(v[u])), v = tau_unit^2 + sigma^2 / n; those of a group
// combine by precision into centre[j] ~ normal(mu, sqrt(tau^2 + 1 / precision[j])): four parameters, and no funnel.
// Gelman and Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, sections 12.5 and 22.4.
functions {
  #include scale_prior.stanfunctions
  #include group_sum.stanfunctions
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
  vector[M] n = group_sum(rep_vector(1, N), unit_idx, M); // rows of each unit
  vector[M] ybar = group_sum(y, unit_idx, M) ./ n; // their mean (unit of the outcome)
  vector[M] ss = group_sum(square(y - ybar[unit_idx]), unit_idx, M); // sum of squares about it (unit squared)
  real tau_raw_max = prior_tau_family == 4 ? 1 : positive_infinity(); // the uniform prior has an end
  real tau_unit_raw_max = prior_tau_unit_family == 4 ? 1 : positive_infinity(); // likewise
  real sigma_raw_max = prior_sigma_family == 4 ? 1 : positive_infinity(); // likewise
}
parameters {
  real<offset=prior_mu[1], multiplier=prior_mu[2]> mu; // location of the population (unit of the outcome)
  real<lower=0, upper=tau_raw_max> tau_raw; // tau in units of its prior's scale (no unit)
  real<lower=0, upper=tau_unit_raw_max> tau_unit_raw; // tau_unit in units of its prior's scale (no unit)
  real<lower=0, upper=sigma_raw_max> sigma_raw; // sigma in units of its prior's scale (no unit)
}
transformed parameters {
  real tau = prior_tau[1] * tau_raw; // sd of groups in the population (unit of the outcome)
  real tau_unit = prior_tau_unit[1] * tau_unit_raw; // sd of units within a group (unit of the outcome)
  real sigma = prior_sigma[1] * sigma_raw; // sd of rows within a unit (unit of the outcome)
  vector[M] v = square(tau_unit) + square(sigma) ./ n; // variance of each ybar given theta (unit squared)
  vector[J] precision = group_sum(inv(v), unit_group, J); // of the units of each group (1 / unit squared)
  vector[J] centre = group_sum(ybar ./ v, unit_group, J) ./ precision; // their weighted mean (unit of the outcome)
}
model {
  mu ~ normal(prior_mu[1], prior_mu[2]);
  tau ~ scale_prior(prior_tau_family, prior_tau); // tau / tau_raw is constant: no Jacobian is due
  tau_unit ~ scale_prior(prior_tau_unit_family, prior_tau_unit);
  sigma ~ scale_prior(prior_sigma_family, prior_sigma);
  if (use_likelihood) {
    target += normal_lpdf(ybar | centre[unit_group], sqrt(v)) - 0.5 * sum(log(precision))
              + normal_lpdf(centre | mu, sqrt(square(tau) + inv(precision)))
              - (N - M) * log(sigma) - 0.5 * sum(ss) / square(sigma);
  }
}
generated quantities {
  vector[generate ? J : 0] theta; // value of each group (unit of the outcome)
  vector[generate ? M : 0] theta_unit; // value of each unit (unit of the outcome)
  vector[generate ? N : 0] log_lik; // log density of each row
  array[generate ? N : 0] real y_rep; // replicated rows (unit of the outcome)
  real lprior = normal_lpdf(mu | prior_mu[1], prior_mu[2]) // log prior of the top level
                + scale_prior_lpdf(tau | prior_tau_family, prior_tau)
                + scale_prior_lpdf(tau_unit | prior_tau_unit_family, prior_tau_unit)
                + scale_prior_lpdf(sigma | prior_sigma_family, prior_sigma);
  if (generate) {
    // Weights of what the data say of each; 0 when the likelihood is off: drawn from the population.
    vector[J] w = 1 - inv(1 + use_likelihood * square(tau) * precision); // of centre (no unit)
    vector[M] u = use_likelihood * square(tau_unit) ./ v; // of ybar (no unit)
    theta = to_vector(normal_rng(mu + w .* (centre - mu), tau * sqrt(1 - w)));
    // FAULT: (1 - u) for its square root
    theta_unit = to_vector(normal_rng(theta[unit_group] + u .* (ybar - theta[unit_group]), tau_unit * (1 - u)));
    y_rep = normal_rng(theta_unit[unit_idx], sigma);
    for (i in 1 : N) {
      log_lik[i] = normal_lpdf(y[i] | theta_unit[unit_idx[i]], sigma);
    }
  }
}
