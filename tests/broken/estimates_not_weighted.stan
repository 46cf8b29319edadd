// Planted fault: varying coefficients are not weighted by standard errors; otherwise partial_pooling.
// Estimates with known standard errors, partial pooling, all varying coefficients integrated out.
//
//   y[n] ~ normal(offset_[n] + X[n] beta + sum over terms t of Z_t[n] u_t[level[t, n]], se[n])
//   u_t[l] ~ multi_normal(0, diag(s_t) Omega_t diag(s_t)), s_t from tau (terms of the group) or sd (other terms)
//
// Pooling: coefficients of groups are draws from one population, whose sds and correlations are learnt.
// Parameterisation: marginal. Sums of products are all that is left of the rows, and there is no funnel; the varying
// coefficients are drawn afterwards. Common coefficients are sampled on a scale on which the sds between groups do not
// matter: they mix as if these were known.
// Raudenbush & Bryk (1985), Journal of Educational Statistics 10:75; Konstantopoulos (2011), Research Synthesis Methods
// 2:61.
functions {
  #include scale_prior.stanfunctions
  #include terms.stanfunctions
  #include group_cholesky.stanfunctions
  #include integrated_terms.stanfunctions
  #include one_term.stanfunctions
  #include standard_common.stanfunctions
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
  matrix[N, KG + KO] W = Z; // FAULT: rows in units of their standard errors (1 / unit)
  matrix[N, P + 1] others = diag_pre_multiply(inv(se), append_col(X, y - offset_ - X * start)); // and estimate
  array[V] matrix[B, V + C + P + 1] S = local_products(W, others, block_idx, place, crossed, K, B, V, C); // by block
  matrix[C + P + 1, C + P + 1] U = crossed_products(W, others, place, crossed, K, C); // over all rows
  int H = n_held(local_term, C); // columns of E
  matrix[H > 0 ? (C * (C + 1)) %/% 2 : 0, H] E = squared_products(S, C, H); // products of crossed columns, by block
  array[P] int mover = moved_by(own, P); // column of the group's terms whose spread moves each common coefficient
  matrix[P, 3] spoken // what the rows say of each, as spoken_of_common says (1 / square of units as beta)
    = use_likelihood * spoken_of_common(others[ : , 1 : P], W, mover, K, L, level, KO > 0);
  vector[P] lasting = inv_square(prior_beta[ : , 2]) + spoken[ : , 2]; // precision that no sd takes away (as spoken)
  vector[P] taken = inv(spoken[ : , 1]); // variance that groups without spread leave (square of units as beta)
  vector[P] pull = (prior_beta[ : , 1] - start) ./ square(prior_beta[ : , 2]); // of the priors (1 / units as beta)
}
parameters {
  vector[P] beta_standard; // common coefficients on a scale on which tau does not matter (no unit)
  vector<lower=0, upper=raw_ends(prior_tau_family)>[KG] tau_raw; // sds of the group's terms in prior scales
  vector<lower=0, upper=raw_ends(prior_sd_family)>[KO] sd_raw; // sds of the other terms over their priors' scales
  vector<lower=-1, upper=1>[R] partial; // canonical partial correlations of the group's terms (no unit)
  vector<lower=-1, upper=1>[RO] partial_other; // those of the other terms (no unit)
}
transformed parameters {
  vector[KG] tau = to_vector(prior_tau[ : , 1]) .* tau_raw; // sds between groups (units as beta)
  vector[P] beta_precision // of each common coefficient given tau and the others (1 / square of units as beta)
    = lasting + inv(taken + spoken[ : , 3] .* square(tau[mover]));
  vector[P] beta // common coefficients (estimate per column)
    = start + (pull + sqrt(beta_precision) .* beta_standard) ./ beta_precision;
  vector[KO] sd = to_vector(prior_sd[ : , 1]) .* sd_raw; // sds between levels of other factors (units as beta)
  real lprior = normal_priors_lpdf(beta | prior_beta)
                + scale_priors_lpdf(tau | prior_tau_family, prior_tau)
                + scale_priors_lpdf(sd | prior_sd_family, prior_sd)
                + lkj_partial_lpdf(append_row(partial, partial_other) | prior_rho, K, correlated); // log prior
}
model {
  target += lprior; // scales are constant multiples of their raw values: no Jacobian is due
  target += -0.5 * sum(log(beta_precision)); // but of beta / beta_standard
  if (use_likelihood && V == 1 && C == 0) {
    target += one_term(S[1], U, append_row(start - beta, 1), tau[1], 1, N) - sum(log(se));
  } else if (use_likelihood) {
    target += integrated_terms(S, U, E, append_row(start - beta, 1),
                               cholesky_factors(append_row(tau, sd), append_row(partial, partial_other), K, correlated),
                               local_term, crossed, K, L, 1, N) - sum(log(se));
  }
}
generated quantities {
  vector[R + RO] all_rho = correlations(append_row(partial, partial_other), K, correlated); // of all terms
  vector[R] rho = head(all_rho, R); // of the group's terms, in the order (1, 2), (1, 3), (2, 3), ...
  vector[RO] rho_other = tail(all_rho, RO); // of the other terms
}
