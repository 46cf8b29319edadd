// Poisson counts, complete pooling.
//
//   y[n] ~ poisson(exposure[n] exp(eta[n]))
//   eta[n] = offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]]
//   u_t[l] = 0 for terms of the group, else multi_normal(0, diag(sd_t) Omega_t diag(sd_t))
//
// Pooling: all groups share one regression: the terms of the group are left out. Terms of other factors stay.
// Parameterisation: chosen by term, in data; non-centered: deviations in standard units, good where levels say little;
// centered: the coefficients themselves, good where they say much. Rows with equal columns and levels are one cell.
// What rows know, the sum of a common coefficient and of means over levels of other factors, is sampled as such.
// Gelman & Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, chapter 15.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include sampled_terms.stanfunctions
}
data {
  int<lower=1> N; // number of rows
  int<lower=0> P; // number of common columns
  int<lower=1> T; // number of terms: coefficients that vary between the levels of a factor
  int<lower=1, upper=T> G; // number of terms of the factor that is pooled, the group; they come first
  int<lower=1> J; // number of groups
  int<lower=1> KG; // number of columns of the group's terms
  int<lower=0> KO; // number of columns of the other terms
  int<lower=0> R; // number of correlations of the group's terms
  int<lower=0> RO; // number of correlations of the other terms
  int<lower=0, upper=P> PS; // number of common columns that are no columns of the group's terms
  array[N] int<lower=0> y; // events of each row
  vector<lower=0>[N] exposure; // time, area or number that they come from
  vector[N] offset_; // known part of the linear predictor (log rate)
  matrix[N, P] X; // common columns, centred (their units)
  matrix[N, KG + KO] Z; // columns of the terms, side by side (their units)
  array[T] int<lower=1> K; // columns of each term
  array[T] int<lower=1> L; // levels of the factor of each term
  array[T, N] int<lower=1> level; // level of each row
  array[T] int<lower=0, upper=1> correlated; // whether the coefficients of a level are correlated
  array[KG] int<lower=0, upper=P> own; // the common column that a column of the group's terms is; 0: none
  array[PS] int<lower=1, upper=P> shared; // the common columns that are none
  array[KO] int<lower=0, upper=P> other_own; // the common column that a column of the other terms is; 0: none
  int<lower=0> M; // number of coefficients of the other terms
  array[T] int<lower=0, upper=1> centered; // by term, 1: coefficients themselves are sampled, 0: their deviations
  int<lower=1> NC; // number of cells: rows with equal columns and levels, added up
  array[NC] int<lower=1, upper=N> cell_row; // a row of each cell
  vector<lower=0>[NC] cell_y; // events of each cell
  vector<lower=0>[NC] cell_exposure; // exposure of each cell
  matrix[P, 2] prior_beta; // normal(location, scale) of beta by column (log rate per unit of the column)
  array[KG] int<lower=1, upper=7> prior_tau_family; // prior of the sds of the group's terms, as scale_prior counts
  array[KG, 2] real<lower=0> prior_tau; // its scale (units as beta), its second argument
  array[KO] int<lower=1, upper=7> prior_sd_family; // the same of the other terms
  array[KO, 2] real<lower=0> prior_sd; // its scale (units as beta), its second argument
  real<lower=0> prior_rho; // shape of the LKJ prior of all correlation matrices (no unit)
  matrix[KG, 2] prior_theta; // normal(location, scale) of coefficients of groups without pooling (units as beta)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
}
transformed data {
  matrix[NC, P] X_cell = X[cell_row]; // common columns of each cell (their units)
  matrix[NC, KO] Z_cell = columns_after(Z, KG)[cell_row]; // columns of other terms
  array[sum(K), NC] int place = places(level[ : , cell_row], K, L, G); // of the coefficients of each cell
  vector[KG] none = rep_vector(0, KG); // the group has no coefficients (no unit)
  array[T] int other_correlated = of_other_terms(correlated, G); // as correlated, but no for the group's terms
}
parameters {
  vector[P] beta_raw; // common coefficients in units of their priors (no unit)
  vector<lower=0, upper=raw_ends(prior_sd_family)>[KO] sd_raw; // sds of the other terms over their priors' scales
  vector<lower=-1, upper=1>[RO] partial_other; // those of the other terms (no unit)
  vector[M] sampled; // coefficients of centered terms, deviations of the others; sampled_terms says how
}
transformed parameters {
  vector[KO] sd = to_vector(prior_sd[ : , 1]) .* sd_raw; // sds between levels of other factors (units as beta)
  vector[P] shift // means over levels of other factors, by common column (units as beta)
    = shift_of_common(sampled, cholesky_factors(append_row(rep_vector(0, KG), sd), partial_other, K, other_correlated),
                      K, L, centered, G, G, other_own, P);
  vector[P] beta = prior_beta[ : , 1] + prior_beta[ : , 2] .* beta_raw - shift; // common coefficients (log rate)
  real lprior = normal_priors_lpdf(beta | prior_beta)
                + scale_priors_lpdf(sd | prior_sd_family, prior_sd)
                + lkj_partial_lpdf(partial_other | prior_rho, K, other_correlated); // log prior of the top level
}
model {
  array[T] matrix[max(K), max(K)] C // Cholesky factors of the covariances of the terms
    = cholesky_factors(append_row(rep_vector(0, KG), sd), partial_other, K, other_correlated);
  vector[M] raw = raw_of_sampled(sampled, shift, own, none, none, K, L, G, G); // as sampled_terms says
  target += lprior + raw_lpdf(raw | rep_vector(0, KO), C, K, L, centered, G);
  if (use_likelihood) {
    vector[NC] eta = offset_[cell_row] + X_cell * beta // linear predictor of each cell (log rate)
                     + terms_of_rows(Z_cell, coefficients(raw, rep_vector(0, KO), C, K, L, centered, G), place);
    target += dot_product(cell_y, eta) - dot_product(cell_exposure, exp(eta)); // but for constants
  }
}
generated quantities {
  vector[RO] rho_other = correlations(partial_other, K, other_correlated); // of the other terms
  matrix[J, KG] theta = rep_matrix(means_of_columns(beta, own, 0), J)'; // coefficients of groups (units as beta)
  vector[M] effect; // deviations of the levels of the other terms, as raw (units as beta)
  {
    array[T] matrix[max(K), max(K)] C // Cholesky factors of the covariances of the terms
      = cholesky_factors(append_row(rep_vector(0, KG), sd), partial_other, K, other_correlated);
    effect = coefficients(raw_of_sampled(sampled, shift, own, none, none, K, L, G, G),
                          rep_vector(0, KO), C, K, L, centered, G);
  }
}
