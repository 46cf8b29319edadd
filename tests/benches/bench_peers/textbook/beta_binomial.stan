// Rates from a beta population, as textbooks write them: every rate is a parameter.
data {
  int<lower=1> J;
  array[J] int<lower=0> y;
  array[J] int<lower=0> n;
  array[2] real prior_mu;
  array[2] real prior_kappa;
}
parameters {
  real<lower=0, upper=1> mu;
  real<lower=0> kappa;
  vector<lower=0, upper=1>[J] theta;
}
model {
  mu ~ beta(prior_mu[1], prior_mu[2]);
  kappa ~ lognormal(prior_kappa[1], prior_kappa[2]);
  theta ~ beta(mu * kappa, (1 - mu) * kappa);
  y ~ binomial(n, theta);
}
