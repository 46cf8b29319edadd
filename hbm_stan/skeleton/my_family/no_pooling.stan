// Waiting times, no pooling.
//
//   y[n] ~ exponential(exp(-theta[group_idx[n]]))        theta[j] ~ normal(prior_theta)
//
// Pooling: groups share nothing; each has the same fixed, wide prior.
// Parameterisation: theta itself, the log of the mean waiting time of each group.
data { // the same in every program, so that a diff between two shows what is pooled and nothing else
  int<lower=1> N; // number of rows: one waiting time each
  int<lower=1> J; // number of groups
  array[N] int<lower=1, upper=J> group_idx; // group of each row
  vector<lower=0>[N] y; // waiting time (unit of the outcome)
  array[2] real prior_mu; // normal(location, scale) of mu (log of the unit)
  real<lower=0> prior_tau; // scale of the half-normal prior of tau (log of the unit)
  array[2] real prior_theta; // normal(location, scale) of each theta without pooling (log of the unit)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
}
parameters {
  vector[J] theta; // value of each group (log of the unit)
}
model {
  theta ~ normal(prior_theta[1], prior_theta[2]);
  if (use_likelihood) {
    y ~ exponential(exp(-theta[group_idx]));
  }
}
generated quantities {
  vector[N] log_lik; // log density of each row: the comparison is made of it
  array[N] real y_rep; // replicated waiting times (unit of the outcome): the predictive check is made of them
  real lprior = normal_lpdf(theta | prior_theta[1], prior_theta[2]); // log prior of the top level
  for (n in 1 : N) {
    real rate = exp(-theta[group_idx[n]]); // of the row's group (1 / unit of the outcome)
    log_lik[n] = exponential_lpdf(y[n] | rate);
    y_rep[n] = exponential_rng(rate);
  }
}
