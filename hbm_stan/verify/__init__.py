"""Proofs of programs: log density, pointwise, known posteriors, two engines, calibration -> a certificate."""

from hbm_stan.verify.run import SEED, Plan, verify

__all__ = ["SEED", "Plan", "verify"]
