  matrix[NC, PS] X_cell = X[cell_row, shared]; // shared columns of each cell (their units)
  matrix[NC, KG + KO] Z_cell = Z[cell_row]; // columns of the terms (their units)
  array[T] int other_correlated = of_other_terms(correlated, G); // as correlated, but no for the group's terms
  vector[KG] rate = rates(K, G, centered, 1 ./ prior_theta[ : , 2]); // of deviations in standard units (1 / unit)
  matrix[KG * J, PS] carry = carried(inside, rate, J); // as inside, times rate
  vector[KG] origin = origins(K, G, centered, prior_theta[ : , 1]); // of centered coefficients (units as beta)
  vector[KG + KO] middle = append_row(prior_theta[ : , 1], rep_vector(0, KO)); // of the coefficients (units as beta)
