// Curves of a wrong law: they rise by a power of frequency and fall exponentially, and nothing ties the two together.
//
//   y[n] ~ normal(f[n], sigma), f[n] = a[j] nu[n]^b[j] exp(-nu[n] / c[j]), j = group_idx[n]
//   theta[, j] = (log height, log place, log b) of the peak, place = b c, height = a (b c)^b exp(-b)
//   theta[, j] ~ multi_normal(mu, diag(tau) Omega diag(tau)), or fixed and wide normals without pooling
//
// Pooling, by data: 1: sets are draws from one population with correlated coefficients; 0: they share nothing.
// Parameterisation: height and place of the peak, which points tell apart better than a and c: centered, for most sets
// know them well; b given them non-centered, for sets hardly differ in it.
data {
  int<lower=1> N; // number of rows: points of all spectra
  int<lower=1> J; // number of groups: spectra
  array[N] int<lower=1, upper=J> group_idx; // group of each row
  vector<lower=0>[N] nu; // frequency (unit of frequency)
  vector[N] y; // measured flux (unit of flux)
  int<lower=0, upper=1> pooled; // 0: mu and tau are fixed at where their priors lie
  vector[3] prior_mu; // centre of mu: log of flux, log of frequency, log of a power
  vector<lower=0>[3] prior_mu_scale; // its sd
  vector<lower=0>[3] prior_tau; // scale of the half-normal prior of tau
  real<lower=0> prior_sigma; // scale of the half-normal prior of sigma; without pooling twice the mean of a gamma(2, .)
}
transformed data {
  vector[3] wide = sqrt(square(prior_mu_scale) + square(prior_tau)); // sds of the fixed population
}
parameters {
  vector[3] mu; // mean of the population; of no use without pooling
  vector<lower=0>[3] tau; // sds of the population; of no use without pooling
  cholesky_factor_corr[3] L; // correlations of the population; of no use without pooling
  vector[J] height; // log of the flux at the peak, of each set
  vector[J] place; // log of the frequency of the peak, of each set
  vector[J] power_raw; // log b given height and place, standardised
  vector<lower=0>[pooled ? 1 : J] sigma; // residual scale, of each set without pooling (unit of flux)
}
transformed parameters {
  vector[3] m = pooled ? mu : prior_mu; // mean of the population
  vector[3] s = pooled ? tau : wide; // its sds
  matrix[3, 3] C = pooled ? L : identity_matrix(3); // its correlations, their Cholesky factor
  vector[J] u = (height - m[1]) / s[1]; // height, standardised
  vector[J] v = ((place - m[2]) / s[2] - C[2, 1] * u) / C[2, 2]; // place given height, standardised
  vector[J] power = m[3] + s[3] * (C[3, 1] * u + C[3, 2] * v + C[3, 3] * power_raw); // log b of each set
}
model {
  mu ~ normal(prior_mu, prior_mu_scale);
  tau ~ normal(0, prior_tau);
  L ~ lkj_corr_cholesky(2);
  u ~ std_normal();
  v ~ std_normal();
  power_raw ~ std_normal();
  target += -J * (log(s[1]) + log(s[2]) + log(C[2, 2])); // |d u, v / d height, place|
  if (pooled) {
    sigma ~ normal(0, prior_sigma);
  } else {
    sigma ~ gamma(2, 4 / prior_sigma);
  }
  {
    vector[N] x = log(nu) - place[group_idx];
    vector[N] f = exp(height[group_idx] + exp(power[group_idx]) .* (x + 1 - exp(x)));
    y ~ normal(f, pooled ? rep_vector(sigma[1], N) : sigma[group_idx]);
  }
}
