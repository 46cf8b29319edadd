"""The variants of the Planck family: three poolings, the forms of partial pooling, and all with truncated fluxes."""

from __future__ import annotations

from hbm_stan.model import Variant

_PARTIAL = (
    'T_j tilde "gamma"(alpha, beta), quad mu = alpha "/" beta, quad tau = sqrt(alpha) "/" beta',
    "alpha tilde p(alpha), quad beta tilde p(beta), quad sigma tilde p(sigma)",
)
_COMPLETE = ("T_j = mu", "mu tilde p(T), quad sigma tilde p(sigma)")
_NO = ('T_j tilde p(T), quad sigma_j tilde p(sigma_"group"), quad sigma = sigma_j "in spectrum" j',)
_ASSUMED = {
    "complete": "All spectra have one temperature; they differ by measurement error only.",
    "no": "Spectra share nothing; each has a temperature and a residual scale with fixed priors.",
    "partial": "Temperatures are draws from one gamma population, whose shape and rate are learnt from all spectra.",
}
_CUT = " Fluxes beyond the range are never recorded."


def variants() -> tuple[Variant, ...]:
    """All variants, those of the three poolings first."""
    math_of = {"complete": _COMPLETE, "no": _NO, "partial": _PARTIAL}
    rows = {"complete": ("T", "sigma"), "no": ("T", "sigma_group"), "partial": ("alpha", "beta", "sigma")}
    forms = {
        "complete": "mu itself",
        "no": "log T standardised by its least squares fit",
        "partial": "centered: T itself; mean and shape of the population in place of shape and rate",
        "centered": "centered: T itself; shape and rate of the population themselves",
        "noncentered": "non-centered: log(T / mu) standardised; mean and shape of the population",
    }
    titles = {"complete": "Complete pooling", "no": "No pooling", "partial": "Partial pooling"}
    plain = [
        Variant(
            name=f"{p}_pooling",
            title=titles[p],
            pooling=p,  # type: ignore[arg-type]
            parameterisation=forms[p],
            assumption=_ASSUMED[p],
            math=math_of[p],
            priors=rows[p],
            better=better,
        )
        for p, better in (("complete", ""), ("no", ""), ("partial", "partial_pooling_noncentered"))
    ]
    others = [
        Variant(name=f"partial_pooling_{form}", title=f"Partial pooling, {title}", pooling="partial",
                parameterisation=forms[form], assumption=_ASSUMED["partial"], math=_PARTIAL, priors=rows["partial"],
                better="partial_pooling")
        for form, title in (("centered", "centered"), ("noncentered", "non-centered"))
    ]  # fmt: skip
    cut = [
        Variant(name=f"{v.name}_truncated", title=f"{v.title}, truncated", pooling=v.pooling,
                parameterisation=v.parameterisation, assumption=v.assumption + _CUT,
                math=(*v.math, 'y_n "given" y_n in (l_n, u_n)'), priors=v.priors, program=v.name,
                settings={"truncated": 1})
        for v in plain
    ]  # fmt: skip
    return (*plain, *others, *cut)
