  vector[N] offset_; // known part of the mean (unit of the outcome)
  matrix[N, P] X; // common columns, centred (their units)
  matrix[N, KG + KO] Z; // columns of the terms, side by side (their units)
  array[T] int<lower=1> K; // columns of each term
  array[T] int<lower=1> L; // levels of the factor of each term
  array[T, N] int<lower=1> level; // level of each row
  array[T] int<lower=0, upper=1> correlated; // whether the coefficients of a level are correlated
  array[KG] int<lower=0, upper=P> own; // the common column that a column of the group's terms is; 0: none
  array[PS] int<lower=1, upper=P> shared; // the common columns that are none
  int<lower=1> B; // number of blocks: levels of a factor whose coefficients are integrated out first
  int<lower=1> V; // most local coefficients of a block: its own and those of the levels inside it
  int<lower=0> C; // number of crossed coefficients: all others
  array[N] int<lower=1, upper=B> block_idx; // block of each row
  array[T] int<lower=0, upper=1> crossed; // whether the coefficients of a term are crossed with the blocks
  array[T, N] int<lower=1> place; // where those of a row begin among the local ones of its block or the crossed ones
  array[B, V] int<lower=0, upper=T> local_term; // term of each local coefficient; 0 from the first that is none
  vector[P] start; // least-squares coefficients, taken off the outcome for precision (units as beta)
  matrix[P, 2] prior_beta; // normal(location, scale) of beta by column (outcome per unit of the column)
  array[KG] int<lower=1, upper=7> prior_tau_family; // prior of the sds of the group's terms, as scale_prior counts
  array[KG, 2] real<lower=0> prior_tau; // its scale (units as beta), its second argument
  array[KO] int<lower=1, upper=7> prior_sd_family; // the same of the other terms
  array[KO, 2] real<lower=0> prior_sd; // its scale (units as beta), its second argument
  real<lower=0> prior_rho; // shape of the LKJ prior of all correlation matrices (no unit)
  matrix[KG, 2] prior_theta; // normal(location, scale) of coefficients of groups without pooling (units as beta)
  int<lower=1, upper=7> prior_sigma_family; // prior of the residual sd, as scale_prior counts
  array[2] real<lower=0> prior_sigma; // its scale (unit of the outcome), its second argument
  int<lower=0, upper=1> use_likelihood; // 0: prior only
