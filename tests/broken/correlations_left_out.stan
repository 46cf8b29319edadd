// Planted fault: the likelihood takes effects as uncorrelated; otherwise partial_pooling.
// Logistic regression, partial pooling.
//   y[n] ~ binomial(trials[n], inv_logit(X[n] theta[j])), j = group_idx[n]
//   theta[j] ~ multi_normal(mu + (U[j] gamma, 0, ...), diag(tau) Omega diag(tau)), Omega ~ LKJ(prior_rho)
// Pooling: intercepts and slopes are draws from one population, whose means, sds and correlations are learnt.
// Parameterisation: chosen by term, in data; non-centered: the deviation in units of tau, good where groups say little
// about a term; centered: theta itself, given the terms before it, good where they say much.
// Gelman & Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, chapters 13 and 14.
functions {
  #include scale_prior.stanfunctions
  #include log_one_plus_exp.stanfunctions
  #include logistic_regression.stanfunctions
}
data {
  int<lower=1> N; // number of rows
  int<lower=1> J; // number of groups
  int<lower=1> K; // number of terms: the intercept and the predictors
  int<lower=0> L; // number of group predictors
  int<lower=1> M; // number of cells: rows of one group with equal predictors, added up
  array[N] int<lower=1, upper=J> group_idx; // group of each row
  matrix[N, K] X; // a column of ones for the intercept, then the predictors (their units)
  matrix[J, L] U; // group predictors, which move the intercept of a group (their units)
  array[N] int<lower=1> trials; // trials of each row; 1 where the outcome is 0 or 1
  array[N] int<lower=0> y; // successes of each row
  array[M] int<lower=1, upper=N> cell_row; // a row of each cell, for its group and predictors
  array[M] int<lower=1> cell_trials; // trials of each cell
  array[M] int<lower=0> cell_y; // successes of each cell
  array[K] int<lower=0, upper=1> centered; // by term, 1: theta itself is sampled, 0: its standardised deviation
  vector[K] prior_mu_location; // normal prior of mu by term (log odds per unit of the term)
  vector<lower=0>[K] prior_mu_scale; // its scale (same unit)
  array[K] int<lower=1, upper=7> prior_tau_family; // prior of tau by term, as scale_prior counts
  array[K, 2] real<lower=0> prior_tau; // its scale (log odds per unit of the term), its second argument
  real<lower=0> prior_rho; // shape of the LKJ prior of the correlation matrix (no unit)
  vector[L] prior_gamma_location; // normal prior of gamma (log odds per unit of the group predictor)
  vector<lower=0>[L] prior_gamma_scale; // its scale (same unit)
  vector[K] prior_theta_location; // normal prior of each theta without pooling (units as mu)
  vector<lower=0>[K] prior_theta_scale; // its scale (same unit)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: log_lik and y_rep are left to be drawn afterwards
}
transformed data {
  matrix[M, K] X_cell = X[cell_row]; // ones and predictors of each cell (their units)
  array[M] int group_cell = group_idx[cell_row]; // group of each cell
  matrix[J, K] origin = rep_matrix((to_vector(centered) .* prior_mu_location)', J); // of theta_raw (its unit)
  matrix[J, K] unit = rep_matrix((to_vector(centered) .* (prior_mu_scale - 1) + 1)', J); // of theta_raw (its unit)
  vector[K] tau_raw_max = raw_ends(prior_tau_family); // only a uniform prior has an end (no unit)
}
parameters {
  vector<offset=prior_mu_location, multiplier=prior_mu_scale>[K] mu; // mean coefficients (log odds per unit of term)
  vector<lower=0, upper=tau_raw_max>[K] tau_raw; // scales of the population in units of their priors' (no unit)
  cholesky_factor_corr[K] L_Omega; // Cholesky factor of the correlation matrix of a group's coefficients
  matrix<offset=origin, multiplier=unit>[J, K] theta_raw; // theta where centered, else its deviation
  vector[L] gamma_raw; // effects of U in units of their priors (no unit)
}
transformed parameters {
  vector[L] gamma = prior_gamma_location + prior_gamma_scale .* gamma_raw; // of U (log odds per its unit)
  vector[K] tau = to_vector(prior_tau[ : , 1]) .* tau_raw; // sds of the coefficients between groups (units as mu)
  real lprior = normal_lpdf(mu | prior_mu_location, prior_mu_scale)
                + normal_lpdf(gamma | prior_gamma_location, prior_gamma_scale)
                + scale_priors_lpdf(tau | prior_tau_family, prior_tau)
                + lkj_corr_cholesky_lpdf(L_Omega | prior_rho); // log prior of the top level
}
model {
  matrix[J, K] location = population_mean(mu, U * gamma); // mean of theta in the population (units as mu)
  matrix[J, K] z = standardise(theta_raw, location, tau, L_Omega, centered); // deviations of theta (no unit)
  target += lprior + std_normal_lpdf(to_vector(z)) + log_change_of_standardise(J, tau, L_Omega, centered);
  if (use_likelihood) {
    matrix[J, K] effect = location + diag_post_multiply(z, tau); // FAULT: L_Omega has a prior and no use
    target += binomial_of_cells(cell_y, cell_trials, rows_dot_product(X_cell, effect[group_cell]));
  }
}
generated quantities {
  vector[(K * (K - 1)) %/% 2] rho = correlations(L_Omega); // between terms (1, 2), (1, 3), (2, 3), ... (no unit)
  matrix[J, K] theta = population_mean(mu, U * gamma); // coefficients of each group (units as mu)
  vector[generate ? N : 0] log_lik; // log probability of each row
  array[generate ? N : 0] int y_rep; // replicated successes
  theta += standardise(theta_raw, theta, tau, L_Omega, centered) * diag_pre_multiply(tau, L_Omega)';
  if (generate) {
    vector[N] eta = rows_dot_product(X, theta[group_idx]); // log odds of each row
    log_lik = binomial_by_row(y, trials, eta);
    y_rep = binomial_rng(trials, inv_logit(eta));
  }
}
