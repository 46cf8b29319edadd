// Joint infection, partial pooling.
//   y[n] ~ neg_binomial_2(examined[n] exp(eta[n]), examined[n] / overdispersion^2) of eggs; binomial(trials[n], sens p
//   + (1 - spec) (1 - p)), p = inv_logit(eta[n]), of blood tests; binomial(trials[n], inv_logit(eta[n])) of snails
//   eta[n] = theta[j] in the first stream, which gives the latent log intensity theta its unit, else
//   alpha[s] + beta[s] (theta[j] - prior_mu[1]), beta > 0;  j = group_idx[n], s = stream[n] - 1
//   theta[j] ~ normal(mu + U[j] gamma, tau)
// Pooling: intensities are draws from one population, whose mean and sd are learnt; predictors move its mean.
// Parameterisation: chosen in data; non-centered: deviations in units of tau, good where villages say little of theta;
// centered: theta itself, less prior_mu[1], good where they say much.
// Sammel, Ryan & Legler (1997), J. of the Royal Statistical Society B 59:667 (one latent variable, several kinds of
// outcomes); Rogan & Gladen (1978), American Journal of Epidemiology 107:71 (sensitivity and specificity).
functions {
  #include scale_prior.stanfunctions
  #include stream_counts.stanfunctions
}
data {
  int<lower=1> N; // number of rows: one for each stream that a village has
  int<lower=1> J; // number of villages
  int<lower=0> L; // number of predictors of villages
  int<lower=1, upper=3> S; // number of streams; the first gives the intensity its unit
  int<lower=0, upper=1> E; // number of streams that count eggs
  array[N] int<lower=1, upper=J> group_idx; // village of each row
  array[N] int<lower=1, upper=S> stream; // stream of each row
  array[N] int<lower=1, upper=3> kind; // what it counts: 1 eggs, 2 people with a positive test, 3 infected snails
  matrix[J, L] U; // predictors of villages (their units)
  array[N] int<lower=0> y; // the count
  array[N] int<lower=0> trials; // people or snails tested; 0 of eggs
  vector<lower=0>[N] examined; // people (slides) whose eggs were counted; 1 of others
  vector<lower=0>[N] sensitivity; // of the blood test, at most 1 (no unit); 1 of others
  vector<lower=0>[N] specificity; // of the blood test, at most 1 (no unit); 1 of others
  int<lower=0, upper=1> centered; // 1: theta itself is sampled; 0: its deviations in units of tau
  array[2] real prior_mu; // normal(location, scale) of mu (log scale); its location is where alpha is meant
  array[2] vector[L] prior_gamma; // normal(location, scale) of gamma (log scale per unit of the predictor)
  int<lower=1, upper=7> prior_tau_family; // which prior of tau: see scale_prior.stanfunctions
  array[2] real<lower=0> prior_tau; // its scale (log scale), its second argument
  array[2] vector[S - 1] prior_alpha; // normal(location, scale) of alpha (log odds)
  array[S - 1] int<lower=1, upper=7> prior_beta_family; // which prior of beta: see scale_prior.stanfunctions
  array[2] vector<lower=0>[S - 1] prior_beta; // its scale (log odds per unit of theta), its second argument
  array[E] int<lower=1, upper=7> prior_overdispersion_family; // which prior of overdispersion
  array[2] vector<lower=0>[E] prior_overdispersion; // its scale (no unit), its second argument
  array[2] real prior_theta; // normal(location, scale) of each theta without pooling (log scale)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: log_lik and y_rep are left out
}
parameters {
  real<offset=prior_mu[1], multiplier=prior_mu[2]> mu; // mean where predictors are 0 (log scale)
  vector[L] gamma_raw; // effects of U in units of their priors (no unit)
  real<lower=0, upper=raw_ends({prior_tau_family})[1]> tau_raw; // sd of deviations in units of its prior's scale
  vector[S - 1] alpha_raw; // levels of streams in units of their priors (no unit)
  vector<lower=0, upper=raw_ends(prior_beta_family)>[S - 1] beta_raw; // slopes in units of their priors' scales
  vector<lower=0, upper=raw_ends(prior_overdispersion_family)>[E] overdispersion_raw; // in units of its prior's scale
  vector[J] theta_raw; // theta less prior_mu[1] (log scale) where centered, else standardised deviations
}
transformed parameters {
  vector[L] gamma = prior_gamma[1] + prior_gamma[2] .* gamma_raw; // of U (log scale per its unit)
  real tau = prior_tau[1] * tau_raw; // sd of intensities beyond predictors (log scale)
  vector[S - 1] alpha = prior_alpha[1] + prior_alpha[2] .* alpha_raw; // of other streams at prior_mu[1] (log odds)
  vector[S - 1] beta = prior_beta[1] .* beta_raw; // slopes of other streams (log odds per unit of theta)
  vector[E] overdispersion = prior_overdispersion[1] .* overdispersion_raw; // 1 / root of the size of one person's eggs
  vector[J] theta = centered * prior_mu[1] + (1 - centered) * (mu + U * gamma)
                    + (centered ? 1 : tau) * theta_raw; // intensity of each village (log scale)
  real lprior = normal_lpdf(mu | prior_mu[1], prior_mu[2]) + scale_prior_lpdf(tau | prior_tau_family, prior_tau)
                + normal_lpdf(alpha | prior_alpha[1], prior_alpha[2])
                + normal_lpdf(gamma | prior_gamma[1], prior_gamma[2])
                + scale_priors_lpdf(beta | prior_beta_family, prior_beta)
                + scale_priors_lpdf(overdispersion | prior_overdispersion_family, prior_overdispersion); // top level
}
model {
  target += lprior; // what is sampled and what has a prior differ by constants: no Jacobian is due
  theta_raw ~ normal(centered * (mu - prior_mu[1] + U * gamma), centered ? tau : 1);
  if (use_likelihood) {
    vector[N] eta = stream_eta(theta[group_idx], stream, prior_mu[1], alpha, beta); // of rows (unit of their stream)
    target += stream_counts_lpmf(y | eta, kind, trials, examined, sensitivity, specificity,
                                 size_of_counts(overdispersion));
  }
}
generated quantities {
  vector[generate ? N : 0] log_lik; // log probability of each row
  array[generate ? N : 0] int y_rep; // replicated counts
  if (generate) {
    vector[N] eta = stream_eta(theta[group_idx], stream, prior_mu[1], alpha, beta); // of rows (unit of their stream)
    log_lik = stream_counts(y, eta, kind, trials, examined, sensitivity, specificity, size_of_counts(overdispersion));
    y_rep = stream_counts_rng(eta, kind, trials, examined, sensitivity, specificity, size_of_counts(overdispersion));
  }
}
