// Beta-binomial with the hyperprior of Bayesian Data Analysis, 3rd ed., section 5.3; else as partial_pooling.stan of the
// family. p(alpha, beta) is proportional to (alpha + beta)^(-5/2), with alpha = mu * kappa and beta = (1 - mu) * kappa.
// It is improper, so the family does not offer it. In (mu, kappa) it is kappa^(-3/2), for d alpha d beta = kappa d mu
// d kappa.
//
//   y[n] ~ binomial(trials[n], theta[group_idx[n]])        theta[j] ~ beta(mu * kappa, (1 - mu) * kappa)
//   mu ~ uniform                                           kappa ~ kappa^(-3/2)
//
// Pooling: groups are draws from one population, whose mean mu and concentration kappa are learnt from all of them.
// Parameterisation: marginal. With theta integrated out a group's successes are beta-binomial: two parameters however
// many groups, and no funnel. Equal counts are evaluated once. theta is then drawn exactly, given mu and kappa.
// Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 5.3.
functions {
  #include group_sum.stanfunctions
  #include log_rising.stanfunctions
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
  vector[J] successes = group_sum(to_vector(y), group_idx, J); // successes in each group, its rows together (trials)
  vector[J] total = group_sum(to_vector(trials), group_idx, J); // trials in each group (trials)
  vector[J] failures = total - successes; // failures in each group (trials)
  matrix[rows(tally(successes, successes)), 3] hit = tally(successes, successes); // distinct successes; times
  matrix[rows(tally(failures, failures)), 3] miss = tally(failures, failures); // distinct failures; times
  matrix[rows(tally(total, total)), 3] size = tally(total, total); // distinct trials; times
}
parameters {
  real<lower=0, upper=1> mu; // mean rate of the population (no unit)
  real log_kappa; // logarithm of the concentration
}
transformed parameters {
  real kappa = exp(log_kappa); // concentration: the population weighs as much as so many trials (trials)
}
model {
  target += -1.5 * log_kappa + log_kappa; // the hyperprior and the Jacobian of kappa
  if (use_likelihood) {
    target += sum(successes) * log(mu) + sum(failures) * log1m(mu)
              + log_rising(mu * kappa, hit) + log_rising((1 - mu) * kappa, miss) - log_rising(kappa, size);
  }
}
generated quantities {
  real logit_mean_rate = logit(mu); // as in the book's figure 5.3
  real alpha = mu * kappa; // first shape of the population (trials)
  real beta = (1 - mu) * kappa; // second shape of the population (trials)
  vector[J] theta; // rate of each group (no unit)
  for (j in 1 : J) {
    theta[j] = beta_rng(alpha + successes[j], beta + failures[j]);
  }
}
