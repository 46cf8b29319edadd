  matrix[NC, P] X_cell = X[cell_row]; // common columns of each cell (their units)
  matrix[NC, KO] Z_cell = columns_after(Z, KG)[cell_row]; // columns of other terms
  array[sum(K), NC] int place = places(level[ : , cell_row], K, L, G); // of the coefficients of each cell
  vector[KG] none = rep_vector(0, KG); // the group has no coefficients (no unit)
  array[T] int other_correlated = of_other_terms(correlated, G); // as correlated, but no for the group's terms
