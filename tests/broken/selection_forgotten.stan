// Planted fault: the share of the population that is seen is left out; otherwise partial_pooling.
// Populations of events, partial pooling, values of events integrated out.
//
//   p(events | alpha, beta) = product over j of  integral L_j(x) beta(x | alpha, beta) dx / A(alpha, beta)
//   A(alpha, beta) = integral P(seen | x) beta(x | alpha, beta) dx, the share of the population that is seen; else 1
//   alpha = mu kappa, beta = (1 - mu) kappa        mu ~ beta(prior_mu)        kappa ~ the prior of a positive quantity
//
// Pooling: events are draws from one population beta(alpha, beta), learnt from all of them.
// Parameterisation: marginal. L_j is known at nodes (quadrature, or samples over the density of their prior), so that
// two parameters are left however many events there are; values are then drawn given the population.
// Loredo (2004), AIP Conference Proceedings 735:195; Mandel, Farr & Gair (2019), MNRAS 486:1086.
functions {
  #include event_nodes.stanfunctions
  #include scale_prior.stanfunctions
}
data {
  int<lower=1> J; // number of events
  vector[J] y; // estimate of each event; or the mean of its samples, their prior undone (no unit)
  vector<lower=0>[J] se; // standard error of each estimate; or the sd of the event's samples (no unit)
  int<lower=0, upper=1> sampled; // 1: events are given as posterior samples
  int<lower=1> K; // number of nodes: a grid, then samples or what precise events have of their own
  vector[K] node; // log odds of the value at each node
  vector<lower=0>[K] cell; // width of the cell about each node in log odds; 0 for a sample
  array[J] int<lower=1, upper=K> first; // the first node of each event
  array[J] int<lower=1, upper=K> size; // how many nodes each event has, one after the other
  int<lower=1> W; // number of weights: those of all events, one after the other
  vector<lower=0>[W] weight; // likelihood of an event at its node, times the node's share of the axis of log odds
  int<lower=0, upper=K> G; // number of nodes of the grid, which come first; 0 where every event is seen
  vector<lower=0>[G] seen; // detection probability at each node of the grid, times the node's share
  array[2] real<lower=0> prior_mu; // beta(a, b) of mu (no unit)
  int<lower=1, upper=7> prior_kappa_family; // which prior of kappa: see scale_prior.stanfunctions
  array[2] real<lower=0> prior_kappa; // its scale, its second argument (no unit)
  array[2] real<lower=0> prior_theta; // beta(a, b) of each theta without pooling (no unit)
  int<lower=0, upper=1> use_likelihood; // 0: prior only
  int<lower=0, upper=1> generate; // 0: log_lik, y_rep (and theta where it is integrated out) are left for afterwards
}
transformed data {
  real kappa_raw_max = prior_kappa_family == 4 ? 1 : positive_infinity(); // only the uniform prior has an end
  vector[K] log_x = log_inv_logit(node); // log of the value at each node
  vector[K] log1m_x = log1m_inv_logit(node); // log of one less the value at each node
}
parameters {
  real<lower=0, upper=1> mu; // mean of the population (no unit)
  real<lower=0, upper=kappa_raw_max> kappa_raw; // concentration in units of its prior's scale (no unit)
}
transformed parameters {
  real kappa = prior_kappa[1] * kappa_raw; // concentration of the population: alpha + beta (no unit)
}
model {
  mu ~ beta(prior_mu[1], prior_mu[2]);
  kappa ~ scale_prior(prior_kappa_family, prior_kappa); // kappa / kappa_raw is constant: no Jacobian is due
  if (use_likelihood) {
    vector[K] density = node_density(log_x, log1m_x, mu * kappa, (1 - mu) * kappa);
    target += sum(event_log_lik(density, weight, first, size));
    // FAULT: the share of the population that is seen is left out
  }
}
generated quantities {
  real alpha = mu * kappa; // first shape of the population (no unit)
  real beta = (1 - mu) * kappa; // second shape of the population (no unit)
  real tau = sqrt(mu * (1 - mu) / (kappa + 1)); // sd of the population (no unit)
  vector[generate ? J : 0] theta; // value of each event (no unit)
  vector[generate ? J : 0] log_lik; // log density of each event given theta; of its samples given the population
  vector[generate ? J : 0] y_rep; // replicated estimates, or means of samples (no unit)
  real lprior = beta_lpdf(mu | prior_mu[1], prior_mu[2])
                + scale_prior_lpdf(kappa | prior_kappa_family, prior_kappa); // log prior of the top level
  if (generate) {
    vector[K] density = node_density(log_x, log1m_x, alpha, beta); // of the population at each node
    if (use_likelihood) {
      theta = event_value_rng(density, weight, first, size, node, cell);
    }
    log_lik = event_log_lik(density, weight, first, size) - (G ? log(dot_product(head(density, G), seen)) : 0);
    for (j in 1 : J) {
      if (!use_likelihood) {
        theta[j] = beta_rng(alpha, beta);
      }
      log_lik[j] = sampled ? log_lik[j] : normal_lpdf(y[j] | theta[j], se[j]);
      y_rep[j] = event_rng(theta[j], se[j], sampled);
    }
  }
}
