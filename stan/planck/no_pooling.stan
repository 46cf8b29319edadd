// Planck curves, no pooling.
//
//   y[n] ~ normal(f[n], sigma_group[j]), f[n] = nu[n]^3 / (exp(nu[n] / T[j]) - 1), j = group_idx[n]
//   T[j] ~ prior_T, sigma_group[j] ~ prior_sigma_group. Truncated: y is divided by P(y_lower < y < y_upper).
//
// Pooling: spectra share nothing; each has its own temperature and its own residual scale, with fixed priors.
// Parameterisation: T_raw is log T standardised by what its prior and its least squares fit give for this sigma_group.
// With T itself sigma_group and T form a funnel in spectra of one or two points, which are fitted without error:
// data/planck, 4 x 1000 draws, gamma(2, 2) of sigma_group: 109 divergences; 4 in this form, in a third of the time.
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
  real sigma_group_raw_max = prior_sigma_group_family == 4 ? 1 : positive_infinity(); // the uniform prior has an end
}
parameters {
  vector<lower=0, upper=sigma_group_raw_max>[J] sigma_group_raw; // sigma_group in units of its prior's scale (no unit)
  vector[J] T_raw; // log T standardised by its prior and its least squares fit together (no unit)
}
transformed parameters {
  vector[J] sigma_group = prior_sigma_group[1] * sigma_group_raw; // residual scale of each group (unit of flux)
  vector[J] fit = use_likelihood * T_information ./ square(sigma_group); // precision of the fit of log T (no unit)
  vector[J] T = exp((log(prior_T[1]) + fit .* log(T_fit) + sqrt(1 + fit) .* T_raw) ./ (1 + fit)); // (unit of frequency)
  real lprior = 0; // log prior of the top level
  for (j in 1 : J) {
    lprior += scale_prior_lpdf(T[j] | prior_T_family, prior_T)
              + scale_prior_lpdf(sigma_group[j] | prior_sigma_group_family, prior_sigma_group);
  }
}
model {
  target += lprior + sum(log(T)) - 0.5 * sum(log1p(fit)); // priors; |d T / d T_raw|
  if (use_likelihood) {
    y ~ flux(planck(nu, T[group_idx]), sigma_group[group_idx], truncated, y_lower, y_upper);
  }
}
generated quantities {
  vector[generate ? N : 0] log_lik; // log density of each flux
  array[generate ? N : 0] real y_rep; // replicated fluxes (unit of flux)
  if (generate) {
    vector[N] f = planck(nu, T[group_idx]); // curve of each group at its frequencies (unit of flux)
    log_lik = flux_log_lik(y, f, sigma_group[group_idx], truncated, y_lower, y_upper);
    y_rep = flux_rng(f, sigma_group[group_idx], truncated, y_lower, y_upper);
  }
}
