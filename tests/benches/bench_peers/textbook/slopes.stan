// A normal outcome with intercepts and slopes by group, correlated, as textbooks write them: centered or non-centered.
data {
  int<lower=1> N;
  int<lower=1> J;
  array[N] int<lower=1, upper=J> g;
  vector[N] x;
  vector[N] y;
  array[2] real prior_beta;
  real<lower=0> scale;
  real<lower=0> prior_rho;
  int<lower=0, upper=1> centered;
}
parameters {
  vector[2] beta;
  vector<lower=0>[2] tau;
  cholesky_factor_corr[2] L;
  real<lower=0> sigma;
  matrix[2, J] z; // coefficients where centered, else their standardised deviations
}
transformed parameters {
  matrix[2, J] effects = centered ? z : rep_matrix(beta, J) + diag_pre_multiply(tau, L) * z;
}
model {
  vector[N] eta = effects[1, g]' + effects[2, g]' .* x;
  beta ~ normal(prior_beta[1], prior_beta[2]);
  tau ~ normal(0, scale);
  L ~ lkj_corr_cholesky(prior_rho);
  if (centered) {
    for (j in 1 : J) {
      z[ : , j] ~ multi_normal_cholesky(beta, diag_pre_multiply(tau, L));
    }
  } else {
    to_vector(z) ~ std_normal();
  }
  sigma ~ normal(0, scale);
  y ~ normal(eta, sigma);
}
generated quantities {
  real rho = L[2, 1];
  matrix[J, 2] theta = effects';
}
