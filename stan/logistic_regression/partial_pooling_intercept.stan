// Logistic regression, partial pooling of the intercepts.
//
//   y[n] ~ binomial(trials[n], inv_logit(X[n] theta[j])), j = group_idx[n]
//   theta[j, 1] ~ normal(mu[1] + U[j] gamma, tau[1]), theta[j, k] = mu[k] for k > 1
//
// Pooling: intercepts are draws from one population, whose mean and sd are learnt; slopes are shared by all groups.
// Parameterisation: non-centered, theta = mean + tau * intercept_raw. Good when groups are few or noisy.
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
  real tau_raw_max = raw_ends(prior_tau_family)[1]; // only a uniform prior has an end (no unit)
}
parameters {
  vector<offset=prior_mu_location, multiplier=prior_mu_scale>[K] mu; // mean coefficients (log odds per unit of term)
  real<lower=0, upper=tau_raw_max> tau_intercept_raw; // sd of intercepts in units of its prior's (no unit)
  vector[L] gamma_raw; // effects of U in units of their priors (no unit)
  vector[J] intercept_raw; // standardised deviation of each group's intercept (no unit)
}
transformed parameters {
  vector[L] gamma = prior_gamma_location + prior_gamma_scale .* gamma_raw; // of U (log odds per its unit)
  vector[K] tau = append_row(prior_tau[1, 1] * tau_intercept_raw, rep_vector(0, K - 1)); // sds (units as mu)
}
model {
  mu ~ normal(prior_mu_location, prior_mu_scale);
  gamma ~ normal(prior_gamma_location, prior_gamma_scale);
  tau[1] ~ scale_prior(prior_tau_family[1], prior_tau[1]); // tau / its raw value is constant: no Jacobian is due
  intercept_raw ~ std_normal();
  if (use_likelihood) {
    vector[J] shift = U * gamma + tau[1] * intercept_raw; // what a group's intercept differs by (log odds)
    target += binomial_of_cells(cell_y, cell_trials, X_cell * mu + shift[group_cell]);
  }
}
generated quantities {
  matrix[J, K] theta = population_mean(mu, U * gamma + tau[1] * intercept_raw); // coefficients (units as mu)
  vector[generate ? N : 0] log_lik; // log probability of each row
  array[generate ? N : 0] int y_rep; // replicated successes
  real lprior = normal_lpdf(mu | prior_mu_location, prior_mu_scale)
                + normal_lpdf(gamma | prior_gamma_location, prior_gamma_scale)
                + scale_prior_lpdf(tau[1] | prior_tau_family[1], prior_tau[1]); // log prior of the top level
  if (generate) {
    vector[N] eta = rows_dot_product(X, theta[group_idx]); // log odds of each row
    log_lik = binomial_by_row(y, trials, eta);
    y_rep = binomial_rng(trials, inv_logit(eta));
  }
}
