"""What would have changed the answer: power-scaling of priors, other priors, and groups left out."""

from hbm_stan.sensitivity.run import Sensitivity, sensitivity

__all__ = ["Sensitivity", "sensitivity"]
