  int<lower=1> N; // number of rows
  int<lower=0> P; // number of common columns
  int<lower=1> T; // number of terms: coefficients that vary between the levels of a factor
  int<lower=1, upper=T> G; // number of terms of the factor that is pooled, the group; they come first
  int<lower=1> J; // number of groups
  int<lower=1> KG; // number of columns of the group's terms
  int<lower=0> KO; // number of columns of the other terms
  int<lower=0> R; // number of correlations of the group's terms
  int<lower=0> RO; // number of correlations of the other terms
  int<lower=0, upper=P> PS; // number of common columns that are no columns of the group's terms
