"""Contrasts written by hand."""

from dataclasses import replace

from analysis.inference.result import Contrast


def contrast_of(
    mean_c: float,
    mean_t: float,
    *,
    se_c: float,
    se_t: float,
    rho: float = 0.0,
    n: tuple[int, int] = (5000, 5000),
    nonzero: tuple[int, int] = (2000, 2000),
    dof: float = 3998.0,
) -> Contrast:
    """Means with standard errors and their correlation; nothing adjusted."""
    return Contrast(
        n_c=n[0],
        n_t=n[1],
        raw_c=mean_c,
        raw_t=mean_t,
        mean_c=mean_c,
        mean_t=mean_t,
        v_cc=se_c**2,
        v_tt=se_t**2,
        v_tc=rho * se_c * se_t,
        v_raw=se_c**2 + se_t**2,
        dof=dof,
        rank=0,
        nonzero_c=nonzero[0],
        nonzero_t=nonzero[1],
        floored=False,
        covariates=(),
    )


def swapped(c: Contrast) -> Contrast:
    """The same two arms with their roles exchanged."""
    return replace(
        c,
        n_c=c.n_t,
        n_t=c.n_c,
        raw_c=c.raw_t,
        raw_t=c.raw_c,
        mean_c=c.mean_t,
        mean_t=c.mean_c,
        v_cc=c.v_tt,
        v_tt=c.v_cc,
        nonzero_c=c.nonzero_t,
        nonzero_t=c.nonzero_c,
    )
