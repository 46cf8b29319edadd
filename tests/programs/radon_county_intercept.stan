// An intercept for each county without pooling, with one slope and one residual scale for all of them.
// The posterior of posteriordb's radon_county_intercept. It is no variant of linear_regression: no pooling there shares
// nothing, neither slopes nor scales.
data {
  int<lower=1> N; // number of homes
  int<lower=1> J; // number of counties
  array[N] int<lower=1, upper=J> group_idx; // county of each home
  vector[N] x; // floor
  vector[N] y; // log radon
}
parameters {
  vector[J] alpha; // intercept of each county (log radon)
  real beta; // effect of the floor (log radon)
  real<lower=0> sigma; // residual scale (log radon)
}
model {
  alpha ~ normal(0, 10);
  beta ~ normal(0, 10);
  sigma ~ normal(0, 1);
  y ~ normal(alpha[group_idx] + beta * x, sigma);
}
generated quantities {
  vector[N] log_lik; // log density of each home
  for (n in 1 : N) {
    log_lik[n] = normal_lpdf(y[n] | alpha[group_idx[n]] + beta * x[n], sigma);
  }
}
