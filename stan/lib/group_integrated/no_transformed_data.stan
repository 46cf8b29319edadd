  matrix[NC, PS] X_cell = X[cell_row, shared]; // shared columns of each cell (their units)
  matrix[NC, KG + KO] Z_cell = Z[cell_row]; // columns of the terms (their units)
  array[T] int other_correlated = of_other_terms(correlated, G); // as correlated, but no for the group's terms
  vector[KG] none = rep_vector(0, KG); // coefficients of groups have no means of other levels to lose (no unit)
  vector[NC] known = cell_mean - offset_[cell_row] - Z_cell[ : , 1 : KG] * prior_theta[ : , 1]; // off the middle
  array[KG + KO] int plain = plain_columns(Z_cell); // whether a column is 1 in all cells
  array[KG] vector[NC] W = weighted_columns(cell_weight, Z_cell, KG); // the group's columns times weights
  array[KG] matrix[J, KG] S = products_by_group(W, Z_cell, last_cell); // sums of products, by group
