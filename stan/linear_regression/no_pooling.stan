// Linear regression, no pooling.
//
//   y[n] ~ normal(X[n] theta[j], sigma_group[j]), j = group_idx[n]
//   theta[j] ~ normal(prior_theta), fixed and wide; sigma_group[j] ~ prior_sigma_group
//
// Pooling: groups share nothing; each has its own regression and residual scale, with fixed priors. Group predictors
// have no part: a group has one value of them and one intercept.
// Parameterisation: marginal. theta is integrated out and drawn exactly afterwards: a group with so few rows that
// theta fits them without error would else be a funnel of sigma_group and theta.
// Lindley & Smith (1972), Journal of the Royal Statistical Society B 34:1; Gelman & Hill (2007), chapters 12 and 13.
functions {
  #include scale_prior.stanfunctions
  #include group_cholesky.stanfunctions
  #include linear_regression.stanfunctions
}
data {
  int<lower=1> N; // number of rows
  int<lower=1> J; // number of groups
  int<lower=1> K; // number of terms: the intercept and the predictors
  int<lower=0> L; // number of group predictors
  array[N] int<lower=1, upper=J> group_idx; // group of each row
  vector[N] y; // outcome (unit of the outcome)
  matrix[N, K] X; // a column of ones for the intercept, then the predictors (their units)
  matrix[J, L] U; // group predictors, which move the intercept of a group (their units)
  array[K] int<lower=0, upper=1> centered; // by term, 1: theta itself is sampled, 0: its standardised deviation
  matrix[K, 2] prior_mu; // normal(location, scale) of mu by term (unit of the outcome per unit of the term)
  array[K] int<lower=1, upper=7> prior_tau_family; // prior of tau by term, as scale_prior counts
  array[K, 2] real<lower=0> prior_tau; // its scale (unit of the outcome per unit of the term), its second argument
  real<lower=0> prior_rho; // shape of the LKJ prior of the correlation matrix (no unit)
  matrix[L, 2] prior_gamma; // normal(location, scale) of gamma (unit of the outcome per unit of the group predictor)
  int<lower=1, upper=7> prior_sigma_family; // prior of the residual scale, as scale_prior counts
  array[2] real<lower=0> prior_sigma; // its scale (unit of the outcome), its second argument
  int<lower=1, upper=7> prior_sigma_group_family; // prior of the residual scale of each group without pooling
  array[2] real<lower=0> prior_sigma_group; // its scale (unit of the outcome), its second argument
  matrix[K, 2] prior_theta; // normal(location, scale) of theta by term without pooling (units as mu)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: log_lik, y_rep (and theta where it is integrated out) are drawn afterwards
}
transformed data {
  real y_mean = mean(y); // taken off the outcome, for precision (unit of the outcome)
  // Terms and outcome of each row, and sums of their products by group; zero where the likelihood is off.
  matrix[N, K + 1] Z = use_likelihood * append_col(X, y - y_mean); // (X, y)
  array[K + 1] matrix[J, K + 1] S = group_products(Z, group_idx, J, K + 1); // by group
  vector[K + 1] w = residual_weights(prior_theta[ : , 1], rep_vector(0, 0), y_mean); // residuals from the prior's mean
  matrix[K, K] C = diag_matrix(prior_theta[ : , 2]); // scales of the priors of theta (units as theta)
  matrix[2 + 2 * K, J] found = spectrum(S, w, C); // of each group: rows, sum of squared residuals, ...
}
parameters {
  vector<lower=0, upper=raw_ends({prior_sigma_group_family})[1]>[J] sigma_group_raw; // sds by group (no unit)
}
transformed parameters {
  vector[J] sigma_group = prior_sigma_group[1] * sigma_group_raw; // residual scale of each group (unit of the outcome)
}
model {
  // sigma_group / sigma_group_raw is constant: no Jacobian is due.
  sigma_group ~ iid_scale_prior(prior_sigma_group_family, prior_sigma_group);
  target += integrated_alone(found, sigma_group); // zero where the likelihood is off
}
generated quantities {
  matrix[J, K] theta // coefficients of each group (unit of the outcome per unit of the term)
    = rep_matrix(prior_theta[ : , 1]', J) + integrated_effects_rng(S, w, C, sigma_group);
  vector[generate ? N : 0] log_lik; // log density of each row
  array[generate ? N : 0] real y_rep; // replicated outcome (unit of the outcome)
  real lprior = iid_scale_prior_lpdf(sigma_group | prior_sigma_group_family, prior_sigma_group)
                + normal_lpdf(to_vector(theta') | to_vector(rep_matrix(prior_theta[ : , 1], J)),
                              to_vector(rep_matrix(prior_theta[ : , 2], J))); // log prior of the top level
  if (generate) {
    vector[N] fitted = rows_dot_product(X, theta[group_idx]); // mean of each row (unit of the outcome)
    log_lik = normal_by_row(y, fitted, sigma_group[group_idx]);
    y_rep = normal_rng(fitted, sigma_group[group_idx]);
  }
}
