// Planted fault: log_lik is of the outcome alone; otherwise partial_pooling.
// Missing outcomes, partial pooling.
//   y[i] ~ normal(theta[j] + X[i] beta, sigma), j = group_idx[i]        theta[j] ~ normal(mu, tau)
//   P(y[i] is unseen) = Phi(X[i] eta + delta (y[i] - y_centre))
//   mu, beta, eta ~ normal(priors)              tau, sigma ~ the chosen priors of a scale
// Pooling: values of groups are draws from one population, whose location and scale are learnt from all of them.
// Parameterisation: given the rest, seen rows make theta normal with known mean and sd; theta_raw is its standardised
// deviation from these: p(theta) p(y | theta) = p(theta | y) p(y), where the former is theta_raw's.
// Delta is no parameter. Heckman (1979), Econometrica 47:153; Little (1993), Journal of the ASA 88:125.
functions {
  #include scale_prior.stanfunctions
  #include group_sum.stanfunctions
  #include missing_outcomes.stanfunctions
}
data {
  int<lower=1> N; // number of rows whose outcome was seen
  int<lower=0> N_unseen; // number of rows whose outcome is missing
  int<lower=1> J; // number of groups
  int<lower=1> K; // number of columns of X
  array[N] int<lower=1, upper=J> group_idx; // group of each seen row
  array[N_unseen] int<lower=1, upper=J> group_idx_unseen; // group of each unseen row
  vector[N] y; // outcome of each seen row (unit of the outcome)
  matrix[N, K] X; // a column of ones, then the predictors of seen rows (their units)
  matrix[N_unseen, K] X_unseen; // the same of unseen rows
  int<lower=0, upper=1> selection; // 1: being unseen depends on the outcome by delta; 0: it does not (pattern mixture)
  real delta; // probits of being unseen per unit of the outcome; without selection, shift of unseen outcomes (unit)
  vector[K] reach; // X * reach is the share of delta that a row has: 1 or 0
  real y_centre; // outcome at which X * eta is the whole probit (unit of the outcome)
  int<lower=0, upper=1> given_seen; // 1: replicated rows are known to be seen; 0: they are any rows
  array[2] real prior_mu; // normal(location, scale) of mu (unit of the outcome)
  int<lower=1, upper=7> prior_tau_family; // which prior of tau: see scale_prior.stanfunctions
  array[2] real<lower=0> prior_tau; // its scale (unit of the outcome), its second argument
  matrix[K - 1, 2] prior_beta; // normal(location, scale) of beta by predictor (outcome per its unit)
  int<lower=1, upper=7> prior_sigma_family; // which prior of sigma
  array[2] real<lower=0> prior_sigma; // its scale (unit of the outcome), its second argument
  matrix[K, 2] prior_eta; // normal(location, scale) of eta by column of X (probits per its unit)
  array[2] real prior_theta; // normal(location, scale) of each theta without pooling (unit of the outcome)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: log_lik and y_rep are drawn afterwards
}
transformed data {
  row_vector[K - 1] x_mean = column_means(X[ : , 2 : K]); // of the predictors (their units)
  vector[K] slope = selection * delta * reach; // X * slope: probits of being unseen per unit of the outcome, by row
  vector[J] n = group_sum(rep_vector(1, N), group_idx, J); // seen rows of each group
  matrix[J, K - 1] X_bar = group_means(X[ : , 2 : K], group_idx, J); // means by group (units of the predictors)
  vector[J] y_bar = group_means(to_matrix(y, N, 1), group_idx, J)[ : , 1]; // likewise (unit of the outcome)
  matrix[K, K] T = crossprod(append_col(X[ : , 2 : K] - X_bar[group_idx], y - y_bar[group_idx])); // rows about these
}
parameters {
  real mu_raw; // mu where predictors are at their means, in units of its prior (no unit)
  real<lower=0, upper=raw_end(prior_tau_family)> tau_raw; // tau in units of its prior's scale
  vector[K - 1] beta_raw; // beta in units of its priors (no unit)
  real<lower=0, upper=raw_end(prior_sigma_family)> sigma_raw; // sigma in units of its prior's
  vector[K] eta_raw; // eta in units of its priors, the first one where predictors are at their means (no unit)
  vector[J] theta_raw; // standardised deviation of each theta from its mean given seen rows (no unit)
}
transformed parameters {
  vector[K - 1] beta = prior_beta[ : , 1] + prior_beta[ : , 2] .* beta_raw; // slopes (outcome per their unit)
  real mu = prior_mu[1] + prior_mu[2] * mu_raw - x_mean * beta; // location of the population (unit of y)
  real tau = prior_tau[1] * tau_raw; // sd between groups (unit of the outcome)
  real sigma = prior_sigma[1] * sigma_raw; // sd of rows about the value of their group (unit of the outcome)
  vector[K] eta = at_zero(prior_eta[ : , 1] + prior_eta[ : , 2] .* eta_raw, x_mean); // probits of being unseen
  vector[J] theta = given_rows(mu, tau, sigma, y_bar - X_bar * beta, use_likelihood * n, theta_raw); // (unit of y)
  real lprior = normal_lpdf(mu | prior_mu[1], prior_mu[2]) + scale_prior_lpdf(tau | prior_tau_family, prior_tau)
                + normal_lpdf(beta | prior_beta[ : , 1], prior_beta[ : , 2])
                + normal_lpdf(eta | prior_eta[ : , 1], prior_eta[ : , 2]) // log prior of the top level
                + scale_prior_lpdf(sigma | prior_sigma_family, prior_sigma);
}
model {
  target += lprior; // raw values are linear in the parameters: no Jacobian is due
  theta_raw ~ std_normal();
  if (use_likelihood) {
    y_bar ~ normal(mu + X_bar * beta, sqrt(square(tau) + square(sigma) ./ n));
    target += -0.5 * quad_form(T, append_row(-beta, 1)) / square(sigma) - (N - J) * log(sigma);
    target += log_missing(y, X, X_unseen, theta[group_idx_unseen], beta, eta, sigma, slope, y_centre); // who was seen
  }
}
generated quantities {
  vector[generate ? N : 0] log_lik; // log density of each seen row: of its outcome, and of its being seen
  array[generate ? N : 0] real y_rep; // replicated outcome (unit of the outcome)
  if (generate) {
    vector[N] m = fitted(theta[group_idx], X, beta); // mean of rows like each, seen or not (unit of the outcome)
    log_lik = log_seen(y, m, sigma, X * eta, X * slope, y_centre)
              - log_Phi(-X * eta - (X * slope) .* (y - y_centre)); // FAULT: being seen is taken off
    y_rep = given_seen ? seen_rng(m, sigma, X * eta, X * slope, y_centre) : normal_rng(m, sigma);
  }
}
