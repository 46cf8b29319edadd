// Planck curves, complete pooling.
//
//   y[n] ~ normal(f[n], sigma), f[n] = nu[n]^3 / (exp(nu[n] / mu) - 1), mu ~ prior_T, sigma ~ prior_sigma
//   Truncated: the density of y is divided by P(y_lower < y < y_upper).
//
// Pooling: all spectra have one temperature; they differ by measurement error only.
// Parameterisation: mu itself, in units of its prior's scale: two parameters that the data hardly tie together.
// Planck (1901), Annalen der Physik 309:553; Gelman et al. (2013), Bayesian Data Analysis, chapter 5.
functions {
  #include scale_prior.stanfunctions
  #include planck.stanfunctions
}
data {
  int<lower=1> N; // number of rows: points of all spectra
  int<lower=1> J; // number of groups: spectra
  array[N] int<lower=1, upper=J> group_idx; // group of each row
  vector<lower=0>[N] nu; // frequency (unit of frequency)
  vector[N] y; // measured flux (unit of flux)
  vector<lower=0>[J] T_fit; // temperature by least squares, 1 where there is none (unit of frequency)
  vector<lower=0>[J] T_information; // of log T at T_fit, for errors of sd 1; 0 where there is none (unit of flux^2)
  int<lower=0, upper=1> truncated; // 1: fluxes beyond y_lower and y_upper are never recorded
  vector[N] y_lower; // the smallest flux that can be recorded, by row (unit of flux)
  vector<lower=y_lower>[N] y_upper; // the largest (unit of flux)
  int<lower=1, upper=7> prior_alpha_family; // which prior of alpha: see scale_prior.stanfunctions
  array[2] real<lower=0> prior_alpha; // its scale (no unit), its second argument
  int<lower=1, upper=7> prior_beta_family; // which prior of beta; not 4, for beta is derived
  array[2] real<lower=0> prior_beta; // its scale (1 / unit of frequency), its second argument
  int<lower=1, upper=7> prior_sigma_family; // which prior of sigma
  array[2] real<lower=0> prior_sigma; // its scale (unit of flux), its second argument
  int<lower=1, upper=7> prior_T_family; // which fixed prior of T with complete and no pooling; not 4
  array[2] real<lower=0> prior_T; // its scale (unit of frequency), its second argument
  int<lower=1, upper=7> prior_sigma_group_family; // which prior of each sigma_group without pooling
  array[2] real<lower=0> prior_sigma_group; // its scale (unit of flux), its second argument
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: log_lik and y_rep are left to be drawn afterwards
}
transformed data {
  real narrowest = min(y_upper - y_lower); // range of fluxes (unit of flux)
  real sigma_raw_max = prior_sigma_family == 4 ? 1 : positive_infinity(); // only the uniform prior has an end
}
parameters {
  real<lower=0> mu_raw; // temperature in units of its prior's scale (no unit)
  real<lower=0, upper=sigma_raw_max> sigma_raw; // residual scale in units of its prior's (no unit)
}
transformed parameters {
  real mu = prior_T[1] * mu_raw; // temperature shared by all groups (unit of frequency)
  real sigma = prior_sigma[1] * sigma_raw; // residual scale (unit of flux)
  real lprior = scale_prior_lpdf(mu | prior_T_family, prior_T)
                + scale_prior_lpdf(sigma | prior_sigma_family, prior_sigma); // log prior of the top level
}
model {
  target += lprior; // mu / mu_raw and sigma / sigma_raw are constant: no Jacobian is due
  if (use_likelihood) {
    y ~ flux_of_one_sigma(planck(nu, rep_vector(mu, N)), sigma, truncated, y_lower, y_upper, narrowest);
  }
}
generated quantities {
  vector[J] T = rep_vector(mu, J); // temperature of each group: mu in every one (unit of frequency)
  vector[generate ? N : 0] log_lik; // log density of each flux
  array[generate ? N : 0] real y_rep; // replicated fluxes (unit of flux)
  if (generate) {
    vector[N] f = planck(nu, T[group_idx]); // curve of each group at its frequencies (unit of flux)
    log_lik = flux_log_lik(y, f, rep_vector(sigma, N), truncated, y_lower, y_upper);
    y_rep = flux_rng(f, rep_vector(sigma, N), truncated, y_lower, y_upper);
  }
}
