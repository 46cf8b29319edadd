// Missing outcomes, complete pooling.
//   y[i] ~ normal(mu + X[i] beta, sigma)        P(y[i] is unseen) = Phi(X[i] eta + delta (y[i] - y_centre))
//   mu, beta, eta ~ normal(priors)              sigma ~ the chosen prior of a scale
// Pooling: all rows share one regression, whatever their group.
// Parameterisation: the intercepts of mu and eta where predictors are at their means, on the scale of their priors.
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
}
parameters {
  real mu_raw; // mu where predictors are at their means, in units of its prior (no unit)
  vector[K - 1] beta_raw; // beta in units of its priors (no unit)
  real<lower=0, upper=raw_end(prior_sigma_family)> sigma_raw; // sigma in units of its prior's
  vector[K] eta_raw; // eta in units of its priors, the first one where predictors are at their means (no unit)
}
transformed parameters {
  vector[K - 1] beta = prior_beta[ : , 1] + prior_beta[ : , 2] .* beta_raw; // slopes (outcome per their unit)
  real mu = prior_mu[1] + prior_mu[2] * mu_raw - x_mean * beta; // value of all groups (unit of y)
  real sigma = prior_sigma[1] * sigma_raw; // sd of rows about the value of their group (unit of the outcome)
  vector[K] eta = at_zero(prior_eta[ : , 1] + prior_eta[ : , 2] .* eta_raw, x_mean); // probits of being unseen
  vector[J] theta = rep_vector(mu, J); // value of each group: mu in every one (unit of the outcome)
  real lprior = normal_lpdf(mu | prior_mu[1], prior_mu[2])
                + normal_lpdf(beta | prior_beta[ : , 1], prior_beta[ : , 2])
                + normal_lpdf(eta | prior_eta[ : , 1], prior_eta[ : , 2]) // log prior of the top level
                + scale_prior_lpdf(sigma | prior_sigma_family, prior_sigma);
}
model {
  target += lprior; // raw values are linear in the parameters: no Jacobian is due
  if (use_likelihood) {
    y ~ normal(fitted(theta[group_idx], X, beta), sigma);
    target += log_missing(y, X, X_unseen, theta[group_idx_unseen], beta, eta, sigma, slope, y_centre); // who was seen
  }
}
generated quantities {
  vector[generate ? N : 0] log_lik; // log density of each seen row: of its outcome, and of its being seen
  array[generate ? N : 0] real y_rep; // replicated outcome (unit of the outcome)
  if (generate) {
    vector[N] m = fitted(theta[group_idx], X, beta); // mean of rows like each, seen or not (unit of the outcome)
    log_lik = log_seen(y, m, sigma, X * eta, X * slope, y_centre);
    y_rep = given_seen ? seen_rng(m, sigma, X * eta, X * slope, y_centre) : normal_rng(m, sigma);
  }
}
