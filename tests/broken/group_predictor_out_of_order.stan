// Planted fault: rows of U are in another order than groups; otherwise partial_pooling.
// Linear regression, partial pooling, coefficients integrated out.
//
//   y[n] ~ normal(X[n] theta[j], sigma), j = group_idx[n]
//   theta[j] ~ multi_normal(mu + (U[j] gamma, 0, ...), diag(tau) Omega diag(tau)), Omega ~ LKJ(prior_rho)
//
// Pooling: intercepts and slopes are draws from one population, whose means, sds and correlations are learnt.
// Parameterisation: marginal. With theta integrated out only sums of products by group are left: the cost does not
// depend on the number of rows, and there is no funnel. theta is then drawn exactly.
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
  // FAULT: the group predictors are sorted, the groups are not
  matrix[J, L] sorted = U[sort_indices_asc(U[ : , 1])]; // group predictors (their units)
  matrix[N, K + L + 1] Z = use_likelihood * append_col(append_col(X, sorted[group_idx]), y - y_mean); // 0: off
  array[K] matrix[J, K + L + 1] S = group_products(Z, group_idx, J, K); // sums of products by group
  matrix[K + L + 1, K + L + 1] T = crossprod(Z); // the same over all rows
}
parameters {
  vector<offset=prior_mu[ : , 1], multiplier=prior_mu[ : , 2]>[K] mu; // means of the coefficients (outcome per term)
  vector<lower=0, upper=raw_ends(prior_tau_family)>[K] tau_raw; // sds in units of their priors' (no unit)
  cholesky_factor_corr[K] L_Omega; // Cholesky factor of the correlations of a group's coefficients
  vector[L] gamma_raw; // effects of the group predictors in units of their priors (no unit)
  real<lower=0, upper=raw_ends({prior_sigma_family})[1]> sigma_raw; // residual scale in units of its prior's (no unit)
}
transformed parameters {
  vector[K] tau = to_vector(prior_tau[ : , 1]) .* tau_raw; // sds of the coefficients between groups (units as mu)
  vector[L] gamma = prior_gamma[ : , 1] + prior_gamma[ : , 2] .* gamma_raw; // effects (outcome per their unit)
  real sigma = prior_sigma[1] * sigma_raw; // residual scale (unit of the outcome)
  real lprior = normal_lpdf(mu | prior_mu[ : , 1], prior_mu[ : , 2])
                + scale_priors_lpdf(tau | prior_tau_family, prior_tau) + lkj_corr_cholesky_lpdf(L_Omega | prior_rho)
                + normal_lpdf(gamma | prior_gamma[ : , 1], prior_gamma[ : , 2])
                + scale_prior_lpdf(sigma | prior_sigma_family, prior_sigma); // log prior of the top level
}
model {
  matrix[K, K] C = diag_pre_multiply(tau, L_Omega); // Cholesky factor of the covariance of theta
  target += lprior; // the ratios of tau, gamma and sigma to their raw values are constant: no Jacobian is due
  target += integrated_normal(S, T, residual_weights(mu, gamma, y_mean), C, sigma); // 0 if off
}
generated quantities {
  vector[choose(K, 2)] rho = correlations(L_Omega); // between groups: terms (1, 2), (1, 3), (2, 3), ...
  matrix[generate ? J : 0, K] theta; // coefficients of each group (units as mu)
  vector[generate ? N : 0] log_lik; // log density of each row
  array[generate ? N : 0] real y_rep; // replicated outcome (unit of the outcome)
  if (generate) {
    vector[N] fitted; // mean of each row (unit of the outcome)
    theta = rep_matrix(mu', J) + append_col(U * gamma, rep_matrix(0, J, K - 1))
            + integrated_effects_rng(S, residual_weights(mu, gamma, y_mean), diag_pre_multiply(tau, L_Omega),
                                     rep_vector(sigma, J));
    fitted = rows_dot_product(X, theta[group_idx]);
    log_lik = normal_by_row(y, fitted, rep_vector(sigma, N));
    y_rep = normal_rng(fitted, sigma);
  }
}
