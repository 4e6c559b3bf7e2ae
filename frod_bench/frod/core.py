"""The trained core C = diag(lambda - lambda_0) + S, (k x k), as a sparse matrix.

The values of C are (k + nnz,): the diagonal, then S on its support. Products with C and the
gradient at its places take nnz multiply-adds a column as CSR; where torch has no CSR kernel (half
precision, builds without MKL, accelerators) C is written out and a dense product serves.

Operands are (k, n), the side that C acts on first: their rows, which the sparse products run along,
are then contiguous. Transposing them for each product took longer than the products themselves.
A sparse matrix is kept in blocks of columns, each in CSR, because the rows of the operand that one
block reads then stay in a core's cache; that halves the time of the wide ones.
"""

import warnings
from collections.abc import Iterator

import torch
from torch import Tensor, nn

# Said once a process by torch; the tests pin the products that are used here.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")

BLOCK = 768  # columns: of 512 to 768 float32 each, 1.5 to 2.3 MB

HAS_MKL = torch.backends.mkl.is_available()  # asked once: a compiled graph can't ask


# Above this share of places that are trained, the written-out C is as fast (docs/method.md).
MAX_SPARSE_SHARE = 0.15


def has_sparse_kernels(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch has CSR products and `sampled_addmm`."""
    wide_enough = dtype in (torch.float32, torch.float64)
    return device.type == "cpu" and wide_enough and HAS_MKL


class CorePattern(nn.Module):
    """Where C is trained, by rows and by columns; the same for all layers of a category."""

    places: Tensor
    order: Tensor
    rank: Tensor
    row_starts: Tensor
    columns: Tensor
    transposed_order: Tensor
    column_starts: Tensor
    rows: Tensor

    def __init__(self, width: int, support: Tensor) -> None:
        """
        Args:
            width: k.
            support: places row * k + column of S, off the diagonal, int64 (nnz,).
        """
        super().__init__()
        self.width = width
        places = torch.cat([torch.arange(width, device="cpu") * (width + 1), support.cpu()])
        order, row_starts, columns = _in_blocks(places, width)
        mirrored = places % width * width + places // width
        transposed_order, column_starts, rows = _in_blocks(mirrored, width)
        buffers = {
            "places": places,
            "order": order,  # values[order] go block by block, row by row
            "rank": order.argsort(),  # and back
            "row_starts": row_starts,
            "columns": columns,
            "transposed_order": transposed_order,
            "column_starts": column_starts,
            "rows": rows,
        }
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)

    def is_sparse_on(self, device: torch.device, dtype: torch.dtype) -> bool:
        """Whether C is multiplied as a sparse matrix: where torch can, and where that is faster."""
        is_sparse = len(self.places) <= MAX_SPARSE_SHARE * self.width**2
        return is_sparse and has_sparse_kernels(device, dtype)

    def matrix(self, values: Tensor) -> Tensor:
        """C (k, k), written out."""
        empty = values.new_zeros(self.width * self.width)
        return empty.scatter_(0, self.places, values).view(self.width, self.width)

    def times(self, values: Tensor, other: Tensor) -> Tensor:
        """C times `other` (k, n); fast where that is contiguous, as all operands here."""
        if not self.is_sparse_on(other.device, other.dtype):
            return self.matrix(values).to(other.dtype) @ other
        values = values.to(other.dtype)[self.order]
        return _product(self.row_starts, self.columns, values, other)

    def transposed_times(self, values: Tensor, other: Tensor) -> Tensor:
        """C^T times `other` (k, n)."""
        if not self.is_sparse_on(other.device, other.dtype):
            return self.matrix(values).to(other.dtype).T @ other
        values = values.to(other.dtype)[self.transposed_order]
        return _product(self.column_starts, self.rows, values, other)

    def gradient(self, left: Tensor, right: Tensor) -> Tensor:
        """Entries of left right^T at the places of C, (k + nnz,), for left and right (k, n)."""
        if not self.is_sparse_on(left.device, left.dtype):
            return (left @ right.T).view(-1)[self.places]
        return _sampled(self.row_starts, self.columns, left, right)[self.rank]


def _in_blocks(places: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Places row * k + column as CSR matrices of `BLOCK` columns each, the last one of fewer.

    Returns:
        The order (nnz,) in which the blocks hold them, the starts of the rows within each block
        (blocks, k + 1), and the columns within the block (nnz,); all int64.
    """
    blocks = torch.arange(-(-width // BLOCK), device="cpu")[:, None] * width**2
    by_block, order = (places % width // BLOCK * width**2 + places).sort()
    rows = torch.arange(width + 1, device="cpu") * width
    edges = torch.searchsorted(by_block, blocks + rows)
    return order, edges - edges[:, :1], by_block % width % BLOCK


def _csr_blocks(starts: Tensor, indices: Tensor, values: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """The columns of each block, and the block (k x columns).

    The pattern is right by construction, so torch is spared checking it at every step.
    """
    width = starts.shape[1] - 1
    sizes = starts[:, -1].tolist()
    parts = zip(starts, indices.split(sizes), values.split(sizes), strict=True)
    for number, part in enumerate(parts):
        columns = slice(number * BLOCK, min((number + 1) * BLOCK, width))
        size = (width, columns.stop - columns.start)
        yield columns, torch.sparse_csr_tensor(*part, size=size, check_invariants=False)


def _product(starts: Tensor, indices: Tensor, values: Tensor, other: Tensor) -> Tensor:
    """The sparse matrix times `other`; `@` would write zeros and copy them before it multiplies."""
    if torch.compiler.is_compiling():
        return _product_operator(starts, indices, values, other)
    other = other.contiguous()
    out = torch.empty_like(other)
    for columns, block in _csr_blocks(starts, indices, values):
        torch.addmm(out, block, other[columns], beta=float(columns.start > 0), out=out)
    return out


def _sampled(starts: Tensor, indices: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Entries of left right^T at the places of the pattern, in its order."""
    if torch.compiler.is_compiling():
        return _sampled_operator(starts, indices, left, right)
    left, right = left.contiguous(), right.contiguous()  # copied here once, not once a block
    found = [
        torch.sparse.sampled_addmm(block, left, right[columns].T, beta=0.0).values()
        for columns, block in _csr_blocks(starts, indices, left.new_zeros(len(indices)))
    ]
    return torch.cat(found)


# Sparse tensors can't be traced: in a compiled graph each of these products is one node.
_product_operator = torch.library.custom_op("frod::csr_product", _product, mutates_args=())
_sampled_operator = torch.library.custom_op("frod::csr_sampled", _sampled, mutates_args=())


@_product_operator.register_fake
def _product_shape(*operands: Tensor) -> Tensor:
    return torch.empty_like(operands[-1], memory_format=torch.contiguous_format)


@_sampled_operator.register_fake
def _sampled_shape(*operands: Tensor) -> Tensor:
    _, indices, left, _ = operands
    return left.new_empty(len(indices))
