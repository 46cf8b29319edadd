// Planted fault: overdispersion is left out of the exponent of the probability of 0; otherwise partial_pooling.
// Zero-inflated negative binomial counts, partial pooling.
//
//   y[n] = 0 with probability inv_logit(X_zi[n] zi), else
//   y[n] ~ neg_binomial_2(exposure[n] exp(eta[n]), 1 / overdispersion^2)
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] ~ multi_normal(0, diag(s_t) Omega_t diag(s_t)), s_t from tau (terms of the group) or sd (other terms)
//
// Pooling: coefficients of groups are draws from one population, whose sds and correlations are learnt.
// Parameterisation: chosen by term, in data; non-centered: deviations in standard units, good where levels say little;
// centered: the coefficients themselves, good where they say much.
// Rows with equal columns, levels and exposure are one cell; only cells with rows of 0 need a logarithm of two terms.
// What rows know, the sum of a common coefficient and of means over levels of other factors, is sampled as such.
// Lambert (1992), Technometrics 34:1.
// Cameron & Trivedi (2013), Regression Analysis of Count Data, 2nd ed., section 3.3.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include sampled_terms.stanfunctions
  #include log_rising.stanfunctions
  #include tally.stanfunctions
  #include log_one_plus_exp.stanfunctions
  #include zero_inflated.stanfunctions
}
data {
  #include sampled/data.stan
  array[N] int<lower=0> y; // events of each row
  vector<lower=0>[N] exposure; // time, area or number that they come from
  int<lower=1> P_zi; // number of columns of the log odds of an extra zero
  matrix[N, P_zi] X_zi; // these columns, centred (their units)
  matrix[P_zi, 2] prior_zi; // normal(location, scale) of zi by column (log odds per unit of the column)
  vector<lower=0>[NC] cell_y; // events of each cell
  vector<lower=0>[NC] cell_others; // its rows that are not 0
  int<lower=0> NZ; // number of cells with rows of 0
  array[NZ] int<lower=1, upper=NC> zero_cell; // these cells
  vector<lower=0>[NZ] zero_rows; // their rows of 0
  int<lower=0> NS; // number of shares of extra zeros among rows of 0: rows with equal columns of the log odds have one
  array[NS] int<lower=1, upper=N> share_row; // a row of each share
  array[NZ] int<lower=1, upper=NS> zero_share; // the share of each cell with rows of 0
  int<lower=0> NO; // number of shares among the other rows
  array[NO] int<lower=1, upper=N> other_row; // a row of each share
  vector<lower=0>[NO] other_rows; // rows of each share
  int<lower=1, upper=7> prior_overdispersion_family; // prior of overdispersion, as scale_prior counts
  array[2] real<lower=0> prior_overdispersion; // its scale (no unit), its second argument
}
transformed data {
  #include sampled/partial_transformed_data.stan
  vector[NC] cell_exposure = exposure[cell_row]; // exposure of a row of each cell
  matrix[NS, P_zi] X_zi_zero = X_zi[share_row]; // columns of the log odds of each share among rows of 0
  matrix[NO, P_zi] X_zi_other = X_zi[other_row]; // the same of the other rows
  matrix[rows(tally(to_vector(y), ones_vector(N))), 3] counts // distinct counts; rows that have them
    = tally(to_vector(y), ones_vector(N));
}
parameters {
  #include sampled/partial_parameters.stan
  real<lower=0, upper=raw_ends({prior_overdispersion_family})[1]> overdispersion_raw; // over its scale
  vector[P_zi] zi_raw; // coefficients of the log odds of an extra zero, in units of their priors
}
transformed parameters {
  real overdispersion = prior_overdispersion[1] * overdispersion_raw; // sd of rates over their mean (no unit)
  vector[P_zi] zi = prior_zi[ : , 1] + prior_zi[ : , 2] .* zi_raw; // these coefficients (log odds)
  #include sampled/partial_transformed_parameters.stan
  lprior += scale_prior_lpdf(overdispersion | prior_overdispersion_family, prior_overdispersion)
            + normal_priors_lpdf(zi | prior_zi);
}
model {
  #include sampled/partial_model.stan
  if (use_likelihood) {
    real spread = square(overdispersion); // variance of rates over their squared mean
    vector[NC] log_dispersion = log1p(cell_exposure .* exp(eta) * spread); // log of the variance over the mean
    target += log_rising(inv(spread), counts) + dot_product(cell_y, eta)
              - dot_product(cell_y, log_dispersion) - dot_product(cell_others, log_dispersion) / spread
              + log_zero_inflated(zero_rows, zero_share, -log_dispersion[zero_cell], X_zi_zero * zi,
                                  other_rows, X_zi_other * zi); // FAULT: not over spread
  }
}
generated quantities {
  #include sampled/partial_generated_quantities.stan
}
