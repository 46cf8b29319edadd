  matrix[NC, P] X_cell = X[cell_row]; // common columns of each cell (their units)
  matrix[NC, KG + KO] Z_cell = Z[cell_row]; // columns of the terms (their units)
  vector[KG] none = rep_vector(0, KG); // the group has no coefficients (no unit)
  array[T] int other_correlated = of_other_terms(correlated, G); // as correlated, but no for the group's terms
