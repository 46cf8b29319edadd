// Rows in units in groups, no pooling of groups; the values of the units integrated out.
//   y[i] ~ normal(theta_unit[unit_idx[i]], sigma_group[j])        theta_unit[u] ~ normal(theta[j], tau_unit_group[j])
//   theta[j] ~ normal(prior_theta)        tau_unit_group[j], sigma_group[j] ~ the chosen priors of a scale, fixed
// Pooling: groups share nothing; each has its own location and its own two scales, with fixed priors.
// Parameterisation: given its scales, theta[j] is normal with known mean and sd; theta_raw is standardised by these.
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
  real tau_unit_raw_max = prior_tau_unit_family == 4 ? 1 : positive_infinity(); // the uniform prior has an end
  real sigma_raw_max = prior_sigma_family == 4 ? 1 : positive_infinity(); // likewise
}
parameters {
  vector[J] theta_raw; // standardised theta, given the scales and the data (no unit)
  vector<lower=0, upper=tau_unit_raw_max>[J] tau_unit_group_raw; // tau_unit_group / its prior's scale (no unit)
  vector<lower=0, upper=sigma_raw_max>[J] sigma_group_raw; // sigma_group / its prior's scale (no unit)
}
transformed parameters {
  vector[J] tau_unit_group = prior_tau_unit[1] * tau_unit_group_raw; // sd of units by group (unit of the outcome)
  vector[J] sigma_group = prior_sigma[1] * sigma_group_raw; // sd of rows by group (unit of the outcome)
  vector[M] v = square(tau_unit_group[unit_group]) + square(sigma_group[unit_group]) ./ n; // var(ybar | theta)
  vector[J] precision = group_sum(inv(v), unit_group, J); // of the units of each group (1 / unit squared)
  vector[J] centre = group_sum(ybar ./ v, unit_group, J) ./ precision; // their weighted mean (unit of the outcome)
  vector[J] w = 1 - inv(1 + use_likelihood * square(prior_theta[2]) * precision); // its weight; 0 without data
  vector[J] theta = prior_theta[1] + w .* (centre - prior_theta[1])
                    + prior_theta[2] * sqrt(1 - w) .* theta_raw; // value of each group (unit of the outcome)
}
model {
  theta_raw ~ std_normal();
  for (j in 1 : J) {
    tau_unit_group[j] ~ scale_prior(prior_tau_unit_family, prior_tau_unit); // no Jacobian is due
    sigma_group[j] ~ scale_prior(prior_sigma_family, prior_sigma);
  }
  if (use_likelihood) {
    // p(theta) p(y | theta) = p(y) p(theta | y): the latter is theta_raw's, the former is here.
    target += normal_lpdf(ybar | centre[unit_group], sqrt(v)) - 0.5 * sum(log(precision))
              + normal_lpdf(centre | prior_theta[1], sqrt(square(prior_theta[2]) + inv(precision)))
              - dot_product(n - 1, log(sigma_group[unit_group])) - 0.5 * sum(ss ./ square(sigma_group[unit_group]));
  }
}
generated quantities {
  vector[generate ? M : 0] theta_unit; // value of each unit (unit of the outcome)
  vector[generate ? N : 0] log_lik; // log density of each row
  array[generate ? N : 0] real y_rep; // replicated rows (unit of the outcome)
  real lprior = normal_lpdf(theta | prior_theta[1], prior_theta[2]); // log prior of the top level
  for (j in 1 : J) {
    lprior += scale_prior_lpdf(tau_unit_group[j] | prior_tau_unit_family, prior_tau_unit)
              + scale_prior_lpdf(sigma_group[j] | prior_sigma_family, prior_sigma);
  }
  if (generate) {
    vector[M] u = use_likelihood * square(tau_unit_group[unit_group]) ./ v; // weight of a unit's own mean
    theta_unit = to_vector(normal_rng(theta[unit_group] + u .* (ybar - theta[unit_group]),
                                      tau_unit_group[unit_group] .* sqrt(1 - u)));
    y_rep = normal_rng(theta_unit[unit_idx], sigma_group[group_idx]);
    for (i in 1 : N) {
      log_lik[i] = normal_lpdf(y[i] | theta_unit[unit_idx[i]], sigma_group[group_idx[i]]);
    }
  }
}
