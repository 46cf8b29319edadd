// Data of the programs of disease_mapping: the areas, the map, the cases and the priors.
int<lower=1> N; // number of rows, one of each area that has one
int<lower=1> J; // number of areas that have a row
int<lower=0> L; // number of predictors of areas
int<lower=1> A; // number of areas on the map, with or without a row
int<lower=1> B; // number of coordinates of the structured effects: areas less connected pieces of the map
array[N] int<lower=1, upper=J> group_idx; // area of each row, among those that have one
array[J] int<lower=1, upper=A> place; // where these areas are on the map
matrix[J, L] U; // predictors of areas (their units)
int<lower=0, upper=1> counted; // 1: counts beside expected numbers, Poisson; 0: cases of tested, binomial
int<lower=0, upper=counted> overdispersed; // 1: counts spread more than Poisson counts, negative binomial
array[N] int<lower=0> tested; // number tested (cases); 0 of counts
vector<lower=0>[N] expected; // expected number (cases); of cases of tested, the number tested
array[N] int<lower=0> y; // cases
matrix[A, B] basis; // times standard normals: effects of unit precision that sum to 0 in each piece (no unit)
vector<lower=0>[A] scaling; // geometric mean of their variances in the piece of each area (no unit)
array[A] int<lower=0, upper=1> island; // 1: the area has no neighbours
array[2] real prior_mu; // normal(location, scale) of mu (log rate ratio, or log odds)
vector[L] prior_gamma_location; // normal prior of gamma (unit of mu per unit of the predictor)
vector<lower=0>[L] prior_gamma_scale; // its scale (same unit)
int<lower=1, upper=7> prior_tau_family; // which prior of tau: see scale_prior.stanfunctions
array[2] real<lower=0> prior_tau; // its scale (unit of mu), its second argument
array[2] real<lower=0> prior_rho; // beta(a, b) of rho (no unit)
int<lower=1, upper=7> prior_overdispersion_family; // which prior of overdispersion, where there is one
array[2] real<lower=0> prior_overdispersion; // its scale (no unit), its second argument
array[2] real prior_theta; // normal(location, scale) of each theta without pooling (unit of mu)
int<lower=0, upper=1> use_likelihood; // 0: prior only
int<lower=0, upper=1> generate; // 0: log_lik and y_rep are left out
