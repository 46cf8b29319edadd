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
  vector[N] offset_; // known part of the linear predictor (unit of eta)
  matrix[N, P] X; // common columns, centred (their units)
  matrix[N, KG + KO] Z; // columns of the terms, side by side (their units)
  array[T] int<lower=1> K; // columns of each term
  array[T] int<lower=1> L; // levels of the factor of each term
  array[T, N] int<lower=1> level; // level of each row
  array[T] int<lower=0, upper=1> correlated; // whether the coefficients of a level are correlated
  array[KG] int<lower=0, upper=P> own; // the common column that a column of the group's terms is; 0: none
  array[PS] int<lower=1, upper=P> shared; // the common columns that are none
  matrix[KG * J, PS] inside; // by column of the group's terms and group: what shared columns are of them, if constant
  array[KO] int<lower=0, upper=P> other_own; // the common column that a column of the other terms is; 0: none
  int<lower=0> M; // number of coefficients of the other terms
  array[T] int<lower=0, upper=1> centered; // by term, 1: coefficients themselves are sampled, 0: their deviations
  int<lower=1> NC; // number of cells: rows with equal columns and levels, added up
  array[NC] int<lower=1, upper=N> cell_row; // a row of each cell
  array[KG + KO, NC] int<lower=1, upper=J * KG + M> place; // of its coefficients, by column, among those of all terms
  matrix[P, 2] prior_beta; // normal(location, scale) of beta by column (unit of eta per unit of the column)
  array[KG] int<lower=1, upper=7> prior_tau_family; // prior of the sds of the group's terms, as scale_prior counts
  array[KG, 2] real<lower=0> prior_tau; // its scale (units as beta), its second argument
  array[KO] int<lower=1, upper=7> prior_sd_family; // the same of the other terms
  array[KO, 2] real<lower=0> prior_sd; // its scale (units as beta), its second argument
  real<lower=0> prior_rho; // shape of the LKJ prior of all correlation matrices (no unit)
  matrix[KG, 2] prior_theta; // normal(location, scale) of coefficients of groups without pooling (units as beta)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
