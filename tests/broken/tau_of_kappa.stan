// Planted fault: the sd of the rates has kappa for kappa + 1; otherwise partial_pooling.
// Beta-binomial, partial pooling, rates integrated out.
//
//   y[n] ~ binomial(trials[n], theta[group_idx[n]])        theta[j] ~ beta(mu * kappa, (1 - mu) * kappa)
//   mu ~ beta(prior_mu)                                    kappa ~ the chosen prior of a positive quantity
//
// Pooling: groups are draws from one population, whose mean mu and concentration kappa are learnt from all of them.
// Parameterisation: marginal. With theta integrated out a group's successes are beta-binomial: two parameters however
// many groups, and no funnel. Equal counts are evaluated once. theta is then drawn exactly, given mu and kappa.
// Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 5.3.
functions {
  #include group_sum.stanfunctions
  #include log_rising.stanfunctions
  #include scale_prior.stanfunctions
  #include tally.stanfunctions
}
data {
  int<lower=1> N; // number of rows: successes of trials
  int<lower=1> J; // number of groups
  array[N] int<lower=1, upper=J> group_idx; // group of each row
  array[N] int<lower=0> y; // successes in each row (trials)
  array[N] int<lower=1> trials; // trials in each row, at least its successes
  array[2] real<lower=0> prior_mu; // beta(a, b) of mu (no unit)
  int<lower=1, upper=7> prior_kappa_family; // which prior of kappa: see scale_prior.stanfunctions
  array[2] real<lower=0> prior_kappa; // its scale (trials), its second argument
  array[2] real<lower=0> prior_theta; // beta(a, b) of each theta without pooling (no unit)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: log_lik, y_rep (and theta where it is integrated out) are left for afterwards
}
transformed data {
  real kappa_raw_max = prior_kappa_family == 4 ? 1 : positive_infinity(); // only the uniform prior has an end
  vector[J] successes = group_sum(to_vector(y), group_idx, J); // successes in each group, its rows together (trials)
  vector[J] total = group_sum(to_vector(trials), group_idx, J); // trials in each group (trials)
  vector[J] failures = total - successes; // failures in each group (trials)
  matrix[rows(tally(successes, successes)), 3] hit = tally(successes, successes); // distinct successes; times
  matrix[rows(tally(failures, failures)), 3] miss = tally(failures, failures); // distinct failures; times
  matrix[rows(tally(total, total)), 3] size = tally(total, total); // distinct trials; times
}
parameters {
  real<lower=0, upper=1> mu; // mean rate of the population (no unit)
  real<lower=0, upper=kappa_raw_max> kappa_raw; // concentration in units of its prior's scale (no unit)
}
transformed parameters {
  real kappa = prior_kappa[1] * kappa_raw; // concentration: the population weighs as much as so many trials (trials)
}
model {
  mu ~ beta(prior_mu[1], prior_mu[2]);
  kappa ~ scale_prior(prior_kappa_family, prior_kappa); // kappa / kappa_raw is constant: no Jacobian is due
  if (use_likelihood) {
    target += sum(successes) * log(mu) + sum(failures) * log1m(mu)
              + log_rising(mu * kappa, hit) + log_rising((1 - mu) * kappa, miss) - log_rising(kappa, size);
  }
}
generated quantities {
  vector[generate ? J : 0] theta; // rate of each group (no unit)
  vector[generate ? N : 0] log_lik; // log probability of each row
  array[generate ? N : 0] int y_rep; // replicated successes (trials)
  real tau = sqrt(mu * (1 - mu) / kappa); // FAULT: kappa for kappa + 1
  real lprior = beta_lpdf(mu | prior_mu[1], prior_mu[2])
                + scale_prior_lpdf(kappa | prior_kappa_family, prior_kappa); // log prior of the top level
  for (j in 1 : (generate ? J : 0)) {
    theta[j] = beta_rng(mu * kappa + use_likelihood * successes[j], (1 - mu) * kappa + use_likelihood * failures[j]);
  }
  for (n in 1 : (generate ? N : 0)) {
    log_lik[n] = binomial_lpmf(y[n] | trials[n], theta[group_idx[n]]);
    y_rep[n] = binomial_rng(trials[n], theta[group_idx[n]]);
  }
}
