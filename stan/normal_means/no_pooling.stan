// Normal means, no pooling.
//
//   y[j] ~ normal(theta[j], se[j])        theta[j] ~ normal(prior_theta), fixed and wide
//
// Pooling: groups share nothing; each has its own value and its own fixed prior.
// Parameterisation: theta itself; the posterior is a product of normals, there is nothing to improve.
// Given y each theta is normal with a known mean and sd, and is sampled on that scale: the sampler meets a standard
// normal whatever the standard errors are, from 1e-9 to 1e6 in one table.
// Rubin (1981), Journal of Educational Statistics 6:377; Gelman et al. (2013), Bayesian Data Analysis, section 5.5.
data {
  int<lower=1> J; // number of groups; each has one estimate
  vector[J] y; // estimate of each group (unit of the outcome)
  vector<lower=0>[J] se; // its standard error, taken as known (unit of the outcome)
  array[2] real prior_mu; // normal(location, scale) of mu (unit of the outcome)
  int<lower=1, upper=7> prior_tau_family; // which prior of tau: see scale_prior.stanfunctions
  array[2] real<lower=0> prior_tau; // its scale (unit of the outcome), its second argument
  array[2] real prior_theta; // normal(location, scale) of each theta without pooling (unit of the outcome)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: theta, log_lik and y_rep are left to be drawn afterwards
}
transformed data {
  vector[J] centre = rep_vector(prior_theta[1], J); // mean of theta given y: eq. 2.12 there
  vector[J] spread = rep_vector(prior_theta[2], J); // its sd; both are the prior's, prior only (unit of the outcome)
  if (use_likelihood) {
    vector[J] variance = square(prior_theta[2]) + square(se); // of y (square of the unit of the outcome)
    centre = (square(se) * prior_theta[1] + square(prior_theta[2]) * y) ./ variance;
    spread = prior_theta[2] * se ./ sqrt(variance);
  }
}
parameters {
  vector<offset=centre, multiplier=spread>[J] theta; // value of each group (unit of the outcome)
}
model {
  theta ~ normal(prior_theta[1], prior_theta[2]);
  if (use_likelihood) {
    y ~ normal(theta, se);
  }
}
generated quantities {
  vector[generate ? J : 0] log_lik; // log density of each estimate
  array[generate ? J : 0] real y_rep; // replicated estimates (unit of the outcome)
  real lprior = normal_lpdf(theta | prior_theta[1], prior_theta[2]); // log prior of the top level
  if (generate) {
    y_rep = normal_rng(theta, se);
    for (j in 1 : J) {
      log_lik[j] = normal_lpdf(y[j] | theta[j], se[j]);
    }
  }
}
