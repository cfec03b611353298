"""The matrix product in tiles: a block of threads computes a tile of the result, each thread some rows and columns of it.

The block brings pieces of both factors into shared memory, the next piece while it multiplies the last one.
"""

from functools import cache
from typing import NamedTuple

from .compiler import cuda, device, uint32, uint64
from .factor import piece

u = uint32
#: how much of both factors a thread multiplies at a time
DEPTH = 8
#: a warp's threads lie in 8 rows and 4 columns: what they read at once of a piece are as many bytes as shared memory gives at once
LANES_DOWN, LANES_ACROSS = 8, 4


class Tile(NamedTuple):
    """Rows and columns of a tile; each thread computes `down` x `across` elements of it (4 or 8 each).

    `effort` is the time per multiplication relative to the largest tile, as far as instructions besides multiplications tell. In a
    small tile so many threads may share each element: each sums up its `shares`-th part of every piece.
    """

    rows: int
    columns: int
    down: int
    across: int
    effort: float
    shares: int = 1

    @property
    def threads(self) -> int:
        return self.rows * self.columns // (self.down * self.across) * self.shares

    @property
    def depth(self) -> int:
        """How much of both factors is in shared memory at a time."""
        return DEPTH * self.shares


TILES = (
    Tile(128, 96, 8, 8, 1.0),
    Tile(128, 64, 8, 8, 1.05),
    Tile(128, 32, 8, 8, 1.15),
    Tile(64, 64, 8, 8, 1.15),
    Tile(32, 32, 4, 4, 1.8),
    Tile(32, 16, 4, 4, 2.2, shares=8),
)
#: for float64, whose elements take two registers each
DOUBLE_TILES = (TILES[-2],)


@cache
def _multiplied(places, down, across, pitch_a, pitch_b, half_rows, half_columns):
    """Return, for kernels to call, what adds the products of some places of the sum to those of a thread.

    They are a power of two, one after the other: the compiler does not unroll so long a loop.
    """
    if places > 1:
        half = _multiplied(places // 2, down, across, pitch_a, pitch_b, half_rows, half_columns)
        further_a, further_b = uint64(places // 2 * pitch_a), uint64(places // 2 * pitch_b)

        @device
        def both(shared_a, shared_b, at_a, at_b, left, right, sums):
            half(shared_a, shared_b, at_a, at_b, left, right, sums)
            half(shared_a, shared_b, at_a + further_a, at_b + further_b, left, right, sums)

        return both

    half_rows, half_columns = uint64(half_rows), uint64(half_columns)

    @device
    def one(shared_a, shared_b, at_a, at_b, left, right, sums):
        for i in range(down):
            left[i] = shared_a[at_a + uint64(i // 4) * half_rows + uint64(i % 4)]
        for j in range(across):
            right[j] = shared_b[at_b + uint64(j // 4) * half_columns + uint64(j % 4)]
        for i in range(down):
            for j in range(across):
                sums[i * across + j] += left[i] * right[j]

    return one


@cache
def _putter(brought, pitch):
    """Return, for kernels to call, what puts a thread's units into shared memory: rows of it are places of the sum."""
    units, deep, wide, spot = brought.units, brought.deep, brought.wide, brought.spot

    @device
    def put(held, shared, start, t):
        for r in range(units):
            i, k, there = spot(t, r)
            place = uint64(u(start + k * u(pitch) + i))
            if there:
                for e in range(deep * wide):
                    shared[place + uint64(e // wide * pitch + e % wide)] = held[r * deep * wide + e]

    return put


@device
def _alone(sums, share, place):
    """Stand in the place of `_joined` where each thread has elements of its own."""


@cache
def _joined(shares, threads, elements, real):
    """Return, for kernels to call, what adds up the sums of threads that share elements: the first ones get them."""
    size = (shares - 1) * threads * elements

    @device
    def joined(sums, share, place):
        others = cuda.shared.array(size, real)
        if share > u(0):
            for e in range(elements):
                others[u(((share - u(1)) * u(elements) + u(e)) * u(threads) + place)] = sums[e]
        cuda.syncthreads()
        if share == u(0):
            for other in range(shares - 1):
                for e in range(elements):
                    sums[e] += others[u((u(other) * u(elements) + u(e)) * u(threads) + place)]

    return joined


@cache
def tile_kernel(a, b, deliver, finish, sum_up, totals_of, real, tile):
    """Return the kernel of a tile.

    Parameters
    ----------
    a, b : tuple
        What `Factor` says of the factors but for the array.
    deliver : callable
        For kernels: what `product.delivery` returns, for 4 neighbours.
    finish : callable
        For kernels: ``finish(result, slope, i)``, done to each element once a thread has stored all of its own.
    sum_up : callable
        For kernels: what `moments.of_tile` returns.
    totals_of : callable
        `factor.totals_of` or `factor.no_totals`.
    real : type
        Of elements and sums.
    tile : Tile
    """
    down, across, elements, zero = tile.down, tile.across, tile.down * tile.across, real(0)
    brought_a = piece(*a, tile.rows, tile.depth, 1, tile.threads, real)
    brought_b = piece(*b, tile.columns, tile.depth, 1, tile.threads, real)
    fetch_a, fetch_b, count_a, count_b = brought_a.fetch, brought_b.fetch, brought_a.elements, brought_b.elements
    totals_held, add_totals, store_totals = totals_of(brought_b, tile.columns, tile.threads, real)
    # 4 elements more than a row has keep apart the threads that write a column
    pitch_a, pitch_b = tile.rows + 4, tile.columns + 4
    put_a, put_b = _putter(brought_a, pitch_a), _putter(brought_b, pitch_b)
    piece_a, piece_b = u(tile.depth * pitch_a), u(tile.depth * pitch_b)
    size_a, size_b = 2 * tile.depth * pitch_a, 2 * tile.depth * pitch_b
    tile_rows, tile_columns, depth_of_piece = u(tile.rows), u(tile.columns), u(tile.depth)
    # a thread's elements lie in groups of 4 x 4, so that it reads 4 neighbours at a time; groups are half a warp's part apart
    warp_rows, warp_columns = LANES_DOWN * down, LANES_ACROSS * across
    half_rows, half_columns = u(warp_rows // 2), u(warp_columns // 2)
    warps_across, per_share = u(tile.columns // warp_columns), u(tile.threads // tile.shares)
    share_a, share_b = u(DEPTH * pitch_a), u(DEPTH * pitch_b)
    join = _joined(tile.shares, tile.threads // tile.shares, elements, real) if tile.shares > 1 else _alone
    multiply = _multiplied(DEPTH, down, across, pitch_a, pitch_b, warp_rows // 2, warp_columns // 2)

    def kernel(a, b, bias, result, slope, means, squares, totals, rows, columns, depth, per_split, splits, channels, apart):
        shared_a = cuda.shared.array(size_a, real, alignment=16)
        shared_b = cuda.shared.array(size_b, real, alignment=16)
        held_a = cuda.local.array(count_a, real)
        held_b = cuda.local.array(count_b, real)
        left = cuda.local.array(down, real)
        right = cuda.local.array(across, real)
        sums = cuda.local.array(elements, real)
        own_totals = cuda.local.array(totals_held, real)
        t = u(cuda.threadIdx.x)
        row, column = u(u(cuda.blockIdx.x) * tile_rows), u(u(cuda.blockIdx.y) * tile_columns)
        part = u(cuda.blockIdx.z)
        group = u(part // splits)
        share, place = u(t // per_share), u(t % per_share)
        warp, lane = u(place // u(32)), u(place % u(32))
        my_row = u(warp // warps_across * u(warp_rows) + lane // u(LANES_ACROSS) * u(4))
        my_column = u(warp % warps_across * u(warp_columns) + lane % u(LANES_ACROSS) * u(4))
        k0 = u(part % splits * per_split)
        end = min(u(k0 + per_split), depth)
        for e in range(elements):
            sums[e] = zero
        for e in range(totals_held):
            own_totals[e] = zero
        fetch_a(a, held_a, row, k0, end, rows, depth, group, t)
        fetch_b(b, held_b, column, k0, end, columns, depth, group, t)
        put_a(held_a, shared_a, u(0), t)
        put_b(held_b, shared_b, u(0), t)
        add_totals(held_b, own_totals)
        cuda.syncthreads()
        stage = u(0)
        while k0 < end:
            following = u(k0 + depth_of_piece)
            if following < end:
                fetch_a(a, held_a, row, following, end, rows, depth, group, t)
                fetch_b(b, held_b, column, following, end, columns, depth, group, t)
            at_a = uint64(u(stage * piece_a + share * share_a + my_row))
            at_b = uint64(u(stage * piece_b + share * share_b + my_column))
            multiply(shared_a, shared_b, at_a, at_b, left, right, sums)
            if following < end:
                stage = u(stage ^ u(1))
                put_a(held_a, shared_a, u(stage * piece_a), t)
                put_b(held_b, shared_b, u(stage * piece_b), t)
                add_totals(held_b, own_totals)
                cuda.syncthreads()
            k0 = following
        join(sums, share, place)
        if share == u(0):
            for i in range(down):
                m = u(row + my_row + u(i % 4) + u(i // 4) * half_rows)
                if m < rows:
                    for j in range(0, across, 4):
                        n = u(column + my_column + u(j // 4) * half_columns)
                        start = u(part * apart + m * channels + n)
                        deliver(result, bias, start, u(group * columns + n), n, columns, sums, i * across + j)
            for e in range(elements):
                i, j = u(e // across), u(e % across)
                m = u(row + my_row + i % u(4) + i // u(4) * half_rows)
                n = u(column + my_column + j % u(4) + j // u(4) * half_columns)
                if m < rows and n < columns:
                    finish(result, slope, u(part * apart + m * channels + n))
        if u(cuda.blockIdx.x) == u(0):
            store_totals(own_totals, totals, u(part * columns + column), min(tile_columns, u(columns - column)), t)
        sum_up(result, means, squares, row, column, rows, columns, group, t)

    return kernel
