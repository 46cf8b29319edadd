array[2] real prior_level; // normal(location, scale) of level (unit of the estimates)
int<lower=1, upper=7> prior_level_sd_family; // which prior of level_sd: see scale_prior.stanfunctions
array[2] real<lower=0> prior_level_sd; // its scale (unit of the estimates), its second argument
array[2] real prior_slope; // normal(location, scale) of slope (unit of the estimates)
int<lower=1, upper=7> prior_slope_sd_family; // which prior of slope_sd
array[2] real<lower=0> prior_slope_sd; // its scale (unit of the estimates), its second argument
int<lower=1, upper=7> prior_amplitude_family; // which prior of amplitude
array[2] real<lower=0> prior_amplitude; // its scale (unit of the estimates), its second argument
int<lower=1, upper=7> prior_length_scale_family; // which prior of length_scale
array[2] real<lower=0> prior_length_scale; // its scale (unit of the points), its second argument
