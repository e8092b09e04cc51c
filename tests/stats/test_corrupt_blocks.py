"""Bytes that are no block or no pane: refused whole (faults, row C28)."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.contracts.blocks import BinnedBlock
from driftline.errors import StateCorrupt, StateTooNew
from driftline.stats.block import MAX_EXTRA, OTHERS, PaneCounts, add_block, fold_rows
from driftline.stats.codec import pack, unpack
from driftline.stats.codes import CODES, MISSING
from driftline.stats.embedding import FEATURES, UNIT
from driftline.stats.grid import Grid
from driftline.stats.layout import DENSE, FEW, SPARSE
from stats.block_making import (
    GRID,
    PANE,
    F,
    as_rows,
    make_rows,
    some_block,
)


def refused(block: BinnedBlock, **wrong: object) -> None:
    pane = PaneCounts.empty(F, FEATURES)
    with pytest.raises(StateCorrupt):
        add_block(pane, msgspec.structs.replace(block, **wrong), GRID)
    assert pane == PaneCounts.empty(F, FEATURES)


def sparse(cells: dict[int, int]) -> dict[str, object]:
    codes = np.array(list(cells), "<u2").tobytes()
    return {"layout": SPARSE, "codes": codes, "counts": np.array(list(cells.values()), "<u1").tobytes()}


def test_faults_c28_block_bytes_that_cannot_be_are_refused_whole() -> None:
    """C28: corrupt bytes end in StateCorrupt before anything is indexed or added.

    Mutation: in `layout._from_sparse`, drop the check of range and order.
    """
    block = some_block()
    refused(block, codes=block.codes[:-1])
    refused(block, codes=block.codes + b"\0")
    refused(block, codes=b"\xff" * len(block.codes))
    refused(block, counts=b"\1")
    refused(block, moments=block.moments[:-1])
    refused(block, joint=block.joint[:-1])
    refused(block, joint=b"")
    refused(block, joint=np.full(FEATURES, UNIT * block.n + 1, "<i4").tobytes())
    refused(block, n=block.n + 1)
    refused(block, n=-1)
    refused(block, n=2**62)
    refused(block, layout=4)
    refused(block, extra={"a": block.n + 1})
    refused(block, extra={"a": -1})
    refused(block, extra={OTHERS: 2**63})
    refused(block, extra={f"a{i}": 1 for i in range(MAX_EXTRA + 2)})
    missing = {f * CODES + MISSING: 60 for f in range(F)}
    add_block(PaneCounts.empty(F, FEATURES), msgspec.structs.replace(block, n=60, **sparse(missing)), GRID)
    refused(block, **sparse({**missing, F * CODES: 1}))
    refused(block, **sparse(dict(reversed(missing.items()))))
    refused(block, **sparse({**missing, (F - 1) * CODES + MISSING: 59}))
    refused(block, **(sparse(missing) | {"counts": b"\1"}))
    refused(block, **(sparse(missing) | {"codes": b"\1"}))
    refused(block, layout=DENSE, codes=b"", counts=b"\1" * 100)
    refused(block, layout=DENSE, codes=b"", counts=b"\xff" * F * CODES * 8)


def test_faults_c28_rows_that_cannot_be_are_refused_whole() -> None:
    """C28: the codes of layout ROWS are of a grid's width and columns, and few.

    Mutation: in `layout.decode_rows`, do not ask which codes are allowed."""
    rows = make_rows(FEW, 1)
    rows.times[:] = 0
    [block] = as_rows(rows)
    add_block(PaneCounts.empty(F, FEATURES), block, GRID)
    refused(block, codes=block.codes[:-1])
    refused(block, codes=block.codes + b"\0")
    refused(block, codes=b"\xff" * len(block.codes))
    refused(block, codes=bytes([GRID.columns[0].codes]) + block.codes[1:])
    refused(block, counts=b"\1")
    refused(block, joint=some_block().joint)
    refused(block, moments=block.moments[:-1])
    refused(block, n=FEW - 1)
    refused(block, n=0, codes=b"")
    refused(block, n=-1, codes=b"")
    refused(block, n=FEW + 1, codes=block.codes + block.codes[:F])
    assert [c.kind for c in GRID.columns] == ["categorical", "numeric", "rate", "numeric"]


def test_a_block_of_another_grid_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="grid"):
        add_block(PaneCounts.empty(F, FEATURES), some_block(), Grid(GRID.columns, PANE + 1))


def test_faults_c28_pane_state_that_is_corrupt_cut_newer_or_of_another_kind() -> None:
    """C28: any single wrong byte and any cut is noticed; a newer version is refused as newer.

    Mutation: in `codec.unpack`, drop the comparison of the checksum.
    """
    pane = fold_rows(GRID, make_rows(60, 1, panes=1))[0]
    data = pane.to_bytes()
    for at in range(len(data)):
        with pytest.raises(StateCorrupt):
            PaneCounts.from_bytes(GRID, data[:at])
        flipped = bytearray(data)
        flipped[at] ^= 1 << at % 8
        with pytest.raises(StateCorrupt):
            PaneCounts.from_bytes(GRID, bytes(flipped))
    version, body = unpack("pane", 1, data)
    with pytest.raises(StateTooNew):
        PaneCounts.from_bytes(GRID, pack("pane", version + 1, body))
    with pytest.raises(StateCorrupt):
        PaneCounts.from_bytes(GRID, pack("windows", version, body))
    with pytest.raises(StateCorrupt):
        PaneCounts.from_bytes(GRID, pack("pane", 0, body))
    with pytest.raises(StateCorrupt):
        PaneCounts.from_bytes(Grid(GRID.columns[:-1], PANE), data)


@given(junk=st.binary(max_size=60))
def test_faults_c28_a_body_with_a_valid_checksum_is_still_not_trusted(junk: bytes) -> None:
    """C28: a well-packed body of the wrong shape is StateCorrupt, never IndexError.

    Mutation: in `PaneCounts.from_bytes`, decode without `type=`.
    """
    with pytest.raises(StateCorrupt):
        PaneCounts.from_bytes(GRID, pack("pane", 1, junk))
