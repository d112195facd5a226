"""Reductions, functions on shapes and methods of Arrays: as NumPy's, eagerly and compiled."""

from __future__ import annotations

import pytest

from .numpy_checks import check, check_derivative, programs

DTYPES = ["f4", "f8", "i8", "i4", "?"]
REDUCTIONS = programs("""
    np.sum(a); np.sum(a, 0); np.sum(a, axis=1, keepdims=True); np.sum(a, axis=(0, 1)); np.sum(a, dtype=np.float32);
    np.sum(e, 0); np.sum(a, initial=2); np.sum(a, 1, where=a > 0); np.sum(c, (0, 2)); np.sum(s); np.sum(o);
    np.prod(q); np.prod(a, 1); np.prod(e); np.mean(a); np.mean(a, 0); np.mean(a, -1, keepdims=True);
    np.mean(c, axis=(1, 2)); np.mean(a, where=a > 0); np.mean(a, dtype=np.float64); np.std(a); np.std(a, 1);
    np.std(a, ddof=1); np.var(a, 0); np.var(a, axis=1, ddof=1, keepdims=True); np.average(a, 0);
    np.average(a, axis=1, weights=q); np.average(a, weights=p); np.max(a); np.max(a, 0);
    np.amax(a, axis=1, keepdims=True); np.min(a, 0); np.amin(a); np.max(a, initial=9); np.max(e);
    np.max(e, initial=0); np.ptp(a, 0); np.argmax(a); np.argmax(a, 0); np.argmin(a, axis=1);
    np.argmax(a, axis=1, keepdims=True); np.argmin(v); np.argmax(e); np.any(a > 1); np.any(a, 0); np.all(a, axis=1);
    np.all(a); np.all(e); np.count_nonzero(a); np.count_nonzero(a, axis=0); np.cumsum(a); np.cumsum(a, 0);
    np.cumsum(a, axis=1); np.cumprod(q); np.cumprod(a, 1); np.cumsum(v, dtype=np.float32); np.add.reduce(a);
    np.add.reduce(a, axis=1); np.add.reduce(a, axis=None); np.multiply.reduce(q); np.maximum.reduce(a);
    np.minimum.reduce(a, axis=1, keepdims=True); np.logical_or.reduce(a); np.add.accumulate(v);
    np.multiply.accumulate(q); np.maximum.accumulate(v); np.minimum.accumulate(a, axis=1); np.nansum(a);
    np.nanmean(a, 0); np.nanmax(a); np.nanmin(a, 1); np.nanstd(a); np.nanprod(q)
""")
SHAPES = programs("""
    np.reshape(a, (3, 2)); np.reshape(a, -1); np.reshape(a, (3, -1), order='F'); np.ravel(a); np.ravel(a, 'F');
    np.transpose(c); np.transpose(c, (1, 0, 2)); np.swapaxes(c, 0, 2); np.moveaxis(c, 0, -1);
    np.moveaxis(c, [0, 1], [-1, 0]); np.rollaxis(c, 2); np.rollaxis(c, 0, 3); np.expand_dims(a, 1);
    np.expand_dims(a, (0, 3)); np.squeeze(np.expand_dims(a, 0)); np.squeeze(o, 0); np.squeeze(a, 0); np.atleast_1d(s);
    np.atleast_2d(b); np.atleast_3d(a); np.broadcast_to(b, (2, 3)); np.broadcast_arrays(a, b); np.concatenate([a, p]);
    np.concatenate((a, p), axis=1); np.concatenate([a, p], axis=None); np.concatenate([a, [[1.5, 2, 3]]]);
    np.concatenate([e, a]); np.stack([a, p]); np.stack([a, p], axis=-1); np.stack([s, s, 1.0]); np.vstack([a, b]);
    np.hstack([a, p]); np.hstack([b, o]); np.dstack([a, p]); np.column_stack([b, q, m]); np.append(b, 3.5);
    np.append(a, p, axis=0); np.block([[m, m], [a, a]]); np.split(v, 3); np.split(v, [1, 4]); np.split(v, 4);
    np.array_split(v, 4); np.hsplit(a, 3); np.vsplit(a, 2); np.flip(a); np.flip(a, 1); np.fliplr(a); np.flipud(a);
    np.rot90(a); np.rot90(a, 2); np.rot90(c, 3, (1, 2)); np.roll(v, 2); np.roll(a, -1); np.roll(a, 1, axis=1);
    np.roll(a, (1, 1), axis=(0, 1)); np.repeat(b, 2); np.repeat(a, 3, axis=1); np.repeat(b, [1, 0, 2]); np.tile(b, 2);
    np.tile(a, (2, 1)); np.tile(b, (2, 2)); np.pad(a, 1); np.pad(a, ((1, 0), (0, 2)), constant_values=3);
    np.pad(b, 2, mode='reflect'); np.pad(b, (1, 2), mode='symmetric'); np.pad(a, 1, mode='edge');
    np.pad(b, 2, mode='wrap'); np.take(v, [0, 2, -1]); np.take(a, 1, axis=1); np.take(a, [[0, 1], [1, 0]], axis=0);
    np.take(v, [7, -8], mode='wrap'); np.take(v, [7, -8], mode='clip');
    np.take_along_axis(a, np.argmax(a, 1, keepdims=True), 1); np.triu(m); np.tril(m, -1); np.triu(a, 1); np.diag(b);
    np.diag(b, 1); np.diag(b, -2); np.diag(m); np.diag(m, 1); np.diagflat(a); np.diagonal(m); np.diagonal(a, 1);
    np.diagonal(c, 0, 1, 2); np.diagonal(m, 5); np.trace(m); np.trace(m, 1); np.trace(c); np.zeros_like(a);
    np.ones_like(a); np.full_like(a, 2); np.ones_like(a, dtype=int); np.copy(a); np.where(a > 0, a, p);
    np.where(a > 0, a, 0); np.where(a > 0, 1.0, 0); np.where(a, a, b); np.clip(a, -1, 1); np.clip(a, None, 1);
    np.clip(a, b, 2.5); np.round(a); np.round(a * 1.2345, 2); np.fix(a); np.select([a > 1, a > 0], [a, 2 * a], -1);
    np.nan_to_num(a)
""")
METHODS = programs("""
    a.sum(); a.sum(0); a.sum(axis=1, keepdims=True); a.mean(axis=0); a.prod(); a.std(ddof=1); a.var(); a.max(1);
    a.min(); a.argmax(); a.argmin(1); a.cumsum(); a.cumprod(0); a.any(); a.all(0); a.dot(m); b.dot(q); a.copy();
    a.astype(np.float32); a.astype(int); a.astype('f8'); a.astype(bool); a.astype(float); a.reshape(3, 2);
    a.reshape((6,)); a.reshape(-1, 2); a.ravel(); a.flatten(); a.T; c.T; a.transpose(); c.transpose(2, 0, 1);
    c.transpose((1, 0, 2)); c.swapaxes(0, 1); a.clip(0, 1); a.clip(max=1); a.round(); a.round(1); b.repeat(2);
    v.take([1, 2]); m.diagonal(); a.conj(); a.real; a.imag; a.reshape(a.shape[1], a.shape[0]); np.zeros(a.shape) + a;
    a.mean() * np.ones((2,) + a.shape); np.arange(6).searchsorted(b); a / a.sum(); (a - a.mean(0)) / (a.std(0) + 1);
    np.zeros(3, dtype=a.dtype); a.dtype == np.float64; a.mT
""")
EXACT = ("sum", "prod", "mean", "std", "var", "cum", "average", "dot", "trace", "add.", "multiply.", "/")
SMOOTH = programs("""
    np.sum(a, 0) * b; np.sum(a, 1, where=p > 1); np.prod(a, 1); np.mean(a, 0); np.std(a, 1); np.var(c, (0, 2));
    np.average(a, axis=1, weights=q); np.max(a, 1); np.min(a, 0); np.ptp(v); np.cumsum(a, 1); np.cumprod(v);
    np.maximum.accumulate(v); np.nanmean(a); np.nanmax(a, 0); np.reshape(a, (3, 2), order='F') @ a;
    np.transpose(c, (1, 0, 2)); np.moveaxis(c, 0, 2); np.concatenate([a, p], 1); np.stack([b, q], 1);
    np.hstack([a, p]) ** 2; np.vstack([a, b]); np.block([[m, m], [a, a]]); np.split(v, [1, 4]); np.flip(a, 1) * a;
    np.rot90(a); np.roll(a, 1, 1) * a; np.repeat(a, 3, axis=1); np.tile(b, (2, 2)); np.pad(a, 1) ** 2;
    np.pad(b, 2, mode='reflect'); np.pad(a, 1, mode='edge'); np.take(v, [0, 2, -1, 0]);
    np.take_along_axis(a, np.argmax(a, 1, keepdims=True), 1); np.triu(m) @ m; np.tril(m); np.diag(b, 1); np.diag(m);
    np.diagonal(c, 0, 1, 2); np.trace(m @ m); np.where(a > 0, a * a, p); np.clip(a, -1, 1) * a;
    np.clip(m, u[:3] - 1.9, q); a.T @ a; a.reshape(3, 2) @ a; (a - a.mean(0)) / (a.std(0) + 1); a.sum() * a;
    np.select([a > 1, a > 0], [a, 2 * a], -1)
""")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("text", REDUCTIONS + SHAPES + METHODS)
def test_as_numpy(text: str, dtype: str) -> None:
    check(text, dtype, exact=not any(word in text for word in EXACT))


@pytest.mark.parametrize("text", SMOOTH)
def test_derivatives(text: str) -> None:
    check_derivative(text)
