// Estimates with known standard errors, complete pooling, all varying coefficients integrated out.
//
//   y[n] ~ normal(offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]], se[n])
//   u_t[l] = 0 for terms of the group, else multi_normal(0, diag(sd_t) Omega_t diag(sd_t))
//
// Pooling: all groups share one regression: the terms of the group are left out. Terms of other factors stay.
// Parameterisation: marginal. Sums of products are all that is left of the rows, and there is no funnel; the varying
// coefficients are drawn afterwards.
// Raudenbush & Bryk (1985), Journal of Educational Statistics 10:75; Konstantopoulos (2011), Research Synthesis Methods
// 2:61.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include group_cholesky.stanfunctions
  #include integrated_terms.stanfunctions
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
  vector[N] y; // estimate (its unit)
  vector<lower=0>[N] se; // its standard error (same unit)
  vector[N] offset_; // known part of the mean (unit of the estimate)
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
  matrix[P, 2] prior_beta; // normal(location, scale) of beta by column (estimate per unit of the column)
  array[KG] int<lower=1, upper=7> prior_tau_family; // prior of the sds of the group's terms, as scale_prior counts
  array[KG, 2] real<lower=0> prior_tau; // its scale (units as beta), its second argument
  array[KO] int<lower=1, upper=7> prior_sd_family; // the same of the other terms
  array[KO, 2] real<lower=0> prior_sd; // its scale (units as beta), its second argument
  real<lower=0> prior_rho; // shape of the LKJ prior of all correlation matrices (no unit)
  matrix[KG, 2] prior_theta; // normal(location, scale) of coefficients of groups without pooling (units as beta)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
}
transformed data {
  matrix[N, KG + KO] W = diag_pre_multiply(inv(se), Z); // rows in units of their standard errors (1 / unit)
  matrix[N, P + 1] others = diag_pre_multiply(inv(se), append_col(X, y - offset_ - X * start)); // and estimate
  array[V] matrix[B, V + C + P + 1] S = local_products(W, others, block_idx, place, crossed, K, B, V, C); // by block
  matrix[C + P + 1, C + P + 1] U = crossed_products(W, others, place, crossed, K, C); // over all rows
  int H = n_held(local_term, C); // columns of E
  matrix[H > 0 ? (C * (C + 1)) %/% 2 : 0, H] E = squared_products(S, C, H); // products of crossed columns, by block
  array[T] int other_correlated = of_other_terms(correlated, G); // as correlated, but no for the group's terms
}
parameters {
  vector[P] beta_raw; // common coefficients in units of their priors (no unit)
  vector<lower=0, upper=raw_ends(prior_sd_family)>[KO] sd_raw; // sds of the other terms over their priors' scales
  vector<lower=-1, upper=1>[RO] partial_other; // those of the other terms (no unit)
}
transformed parameters {
  vector[P] beta = prior_beta[ : , 1] + prior_beta[ : , 2] .* beta_raw; // common coefficients (estimate per column)
  vector[KO] sd = to_vector(prior_sd[ : , 1]) .* sd_raw; // sds between levels of other factors (units as beta)
  real lprior = normal_priors_lpdf(beta | prior_beta)
                + scale_priors_lpdf(sd | prior_sd_family, prior_sd)
                + lkj_partial_lpdf(partial_other | prior_rho, K, other_correlated); // log prior
}
model {
  target += lprior; // scales are constant multiples of their raw values: no Jacobian is due
  if (use_likelihood) {
    target += integrated_terms(S, U, E, append_row(start - beta, 1),
                               cholesky_factors(append_row(rep_vector(0, KG), sd), partial_other, K, other_correlated),
                               local_term, crossed, K, L, 1, N) - sum(log(se));
  }
}
generated quantities {
  vector[RO] rho_other = correlations(partial_other, K, other_correlated); // of other terms
}
