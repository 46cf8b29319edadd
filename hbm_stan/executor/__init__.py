"""Many fits side by side, through one interface (``concurrent.futures``): here, in processes, or on a Dask cluster."""

from hbm_stan.executor.crew import answered, in_turn, on_cluster, refused, side_by_side, working_on_cluster

__all__ = ["answered", "in_turn", "on_cluster", "refused", "side_by_side", "working_on_cluster"]
