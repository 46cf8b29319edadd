// Planck curves with temperatures from a gamma population, as a textbook would write them.
data {
  int<lower=1> N;
  int<lower=1> J;
  array[N] int<lower=1, upper=J> g;
  vector<lower=0>[N] nu;
  vector[N] y;
  real<lower=0> prior_alpha;
  real<lower=0> prior_rate;
  real<lower=0> prior_sigma;
}
transformed data {
  vector[N] cubed = nu .* nu .* nu;
}
parameters {
  real<lower=0> alpha;
  real<lower=0> rate;
  real<lower=0> sigma;
  vector<lower=0>[J] T;
}
model {
  alpha ~ exponential(prior_alpha);
  rate ~ exponential(prior_rate);
  sigma ~ exponential(prior_sigma);
  T ~ gamma(alpha, rate);
  y ~ normal(cubed ./ expm1(nu ./ T[g]), sigma);
}
