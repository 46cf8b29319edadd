// Planted fault: a variance stands where the sd is due; otherwise partial_pooling.
// Normal means, partial pooling, group values integrated out.
//
//   y[j] ~ normal(theta[j], se[j])        theta[j] ~ normal(mu, tau)
//   mu ~ normal(prior_mu)                 tau ~ the chosen prior of a scale
//
// Pooling: groups are draws from one population, whose location mu and scale tau are learnt from all of them.
// Parameterisation: marginal. With theta integrated out, y[j] ~ normal(mu, sqrt(se[j]^2 + tau^2)): two parameters
// however many groups. theta is then drawn exactly, given mu and tau.
// tau is sampled on the scale of its prior, so that any unit of the outcome samples alike. mu given tau and y is normal
// with a known mean and sd, and is sampled on that scale: no funnel, even where one group is known almost exactly.
// Rubin (1981), Journal of Educational Statistics 6:377; Gelman et al. (2013), Bayesian Data Analysis, section 5.5.
functions {
  #include scale_prior.stanfunctions
  // Precisions of the groups' estimates given mu and tau, (J): 0 when the likelihood is off.
  vector precisions(real tau, vector se, int use_likelihood) {
    return use_likelihood * inv(square(se) + square(tau));
  }
  // Mean of mu given tau and y: Gelman et al., eq. 5.20, with the prior as one more estimate.
  real mean_of_mu(real tau, vector y, vector se, array[] real prior_mu, int use_likelihood) {
    vector[rows(y)] w = precisions(tau, se, use_likelihood);
    return (prior_mu[1] + square(prior_mu[2]) * dot_product(w, y)) / (1 + square(prior_mu[2]) * sum(w));
  }
  // Its sd.
  real sd_of_mu(real tau, vector se, array[] real prior_mu, int use_likelihood) {
    return prior_mu[2] * inv_sqrt(1 + square(prior_mu[2]) * sum(precisions(tau, se, use_likelihood)));
  }
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
  real<lower=0, upper=tau_raw_max> tau_raw; // scale of the population in units of its prior's (no unit)
  real<offset=mean_of_mu(prior_tau[1] * tau_raw, y, se, prior_mu, use_likelihood),
       multiplier=sd_of_mu(prior_tau[1] * tau_raw, se, prior_mu, use_likelihood)> mu; // location (unit of the outcome)
}
transformed parameters {
  real tau = prior_tau[1] * tau_raw; // scale of the population (unit of the outcome)
}
model {
  mu ~ normal(prior_mu[1], prior_mu[2]);
  tau ~ scale_prior(prior_tau_family, prior_tau); // tau / tau_raw is constant: no Jacobian is due
  if (use_likelihood) {
    y ~ normal(mu, square(se) + square(tau)); // FAULT: a variance where normal() takes an sd
  }
}
generated quantities {
  vector[generate ? J : 0] theta; // value of each group (unit of the outcome)
  vector[generate ? J : 0] log_lik; // log density of each estimate
  array[generate ? J : 0] real y_rep; // replicated estimates (unit of the outcome)
  real lprior = normal_lpdf(mu | prior_mu[1], prior_mu[2])
                + scale_prior_lpdf(tau | prior_tau_family, prior_tau); // log prior of the top level
  for (j in 1 : (generate ? J : 0)) {
    // Weight of the group's own estimate; 0 when the likelihood is off, and theta is then drawn from the population.
    real w = use_likelihood ? square(tau) / (square(tau) + square(se[j])) : 0;
    theta[j] = mu + w * (y[j] - mu) + tau * sqrt(1 - w) * std_normal_rng();
    log_lik[j] = normal_lpdf(y[j] | theta[j], se[j]);
    y_rep[j] = normal_rng(theta[j], se[j]);
  }
}
