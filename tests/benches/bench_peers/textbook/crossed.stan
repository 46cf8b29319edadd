// A normal outcome with two crossed factors, as textbooks write it: centered, or non-centered by offset and multiplier.
data {
  int<lower=1> N;
  int<lower=1> J;
  int<lower=1> H;
  array[N] int<lower=1, upper=J> g;
  array[N] int<lower=1, upper=H> h;
  vector[N] y;
  array[2] real prior_beta;
  real<lower=0> scale;
  int<lower=0, upper=1> centered;
}
parameters {
  real beta;
  real<lower=0> tau;
  real<lower=0> sd;
  real<lower=0> sigma;
  vector<offset=(centered ? 0 : beta), multiplier=(centered ? 1 : tau)>[J] theta;
  vector<multiplier=(centered ? 1 : sd)>[H] effect;
}
model {
  beta ~ normal(prior_beta[1], prior_beta[2]);
  tau ~ normal(0, scale);
  sd ~ normal(0, scale);
  sigma ~ normal(0, scale);
  theta ~ normal(beta, tau);
  effect ~ normal(0, sd);
  y ~ normal(theta[g] + effect[h], sigma);
}
