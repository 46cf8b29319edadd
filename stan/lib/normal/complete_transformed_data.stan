  array[V] matrix[B, V + C + P + 1] S = local_products(Z, others, block_idx, place, crossed, K, B, V, C); // by block
  matrix[C + P + 1, C + P + 1] U = crossed_products(Z, others, place, crossed, K, C); // over all rows
  int H = n_held(local_term, C); // columns of E
  matrix[H > 0 ? (C * (C + 1)) %/% 2 : 0, H] E = squared_products(S, C, H); // products of crossed columns, by block
  array[T] int other_correlated = of_other_terms(correlated, G); // as correlated, but no for the group's terms
