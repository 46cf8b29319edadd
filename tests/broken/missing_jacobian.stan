// Planted fault: log tau is sampled without its Jacobian; otherwise partial_pooling_noncentered.
// Normal means, partial pooling, non-centered.
//
//   y[j] ~ normal(theta[j], se[j])        theta[j] ~ normal(mu, tau)
//   mu ~ normal(prior_mu)                 tau ~ the chosen prior of a scale
//
// Pooling: groups are draws from one population, whose location mu and scale tau are learnt from all of them.
// Parameterisation: non-centered, theta = mu + tau * theta_raw. Good when groups are few or noisy; when every group
// is measured well, the data tie mu, tau and theta_raw together and the centered or marginal form is better.
// mu, tau and theta are sampled on the scale of their priors, so that any unit of the outcome samples alike.
// Rubin (1981), Journal of Educational Statistics 6:377; Gelman et al. (2013), Bayesian Data Analysis, section 5.5.
functions {
  #include scale_prior.stanfunctions
}
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
  real tau_raw_max = prior_tau_family == 4 ? 1 : positive_infinity(); // only the uniform prior has an end
}
parameters {
  real<offset=prior_mu[1], multiplier=prior_mu[2]> mu; // location of the population (unit of the outcome)
  real log_tau; // log scale of the population
  vector[J] theta_raw; // standardised deviation of each group from mu (no unit)
}
transformed parameters {
  real tau = exp(log_tau); // scale of the population (unit of the outcome)
  vector[J] theta = mu + tau * theta_raw; // value of each group (unit of the outcome)
}
model {
  mu ~ normal(prior_mu[1], prior_mu[2]);
  tau ~ scale_prior(prior_tau_family, prior_tau); // FAULT: log tau is sampled, the Jacobian tau is due
  theta_raw ~ std_normal();
  if (use_likelihood) {
    y ~ normal(theta, se);
  }
}
generated quantities {
  vector[generate ? J : 0] log_lik; // log density of each estimate
  array[generate ? J : 0] real y_rep; // replicated estimates (unit of the outcome)
  real lprior = normal_lpdf(mu | prior_mu[1], prior_mu[2])
                + scale_prior_lpdf(tau | prior_tau_family, prior_tau); // log prior of the top level
  if (generate) {
    y_rep = normal_rng(theta, se);
    for (j in 1 : J) {
      log_lik[j] = normal_lpdf(y[j] | theta[j], se[j]);
    }
  }
}
