// Normal means with known standard errors, as textbooks write them: centered, or non-centered by offset and multiplier.
data {
  int<lower=1> J;
  vector[J] y;
  vector<lower=0>[J] s;
  array[2] real prior_mu;
  real<lower=0> prior_tau;
  int<lower=0, upper=1> centered;
}
parameters {
  real mu;
  real<lower=0> tau;
  vector<offset=(centered ? 0 : mu), multiplier=(centered ? 1 : tau)>[J] theta;
}
model {
  mu ~ normal(prior_mu[1], prior_mu[2]);
  tau ~ cauchy(0, prior_tau);
  theta ~ normal(mu, tau);
  y ~ normal(theta, s);
}
