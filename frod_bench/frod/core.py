"""The trained core C = diag(lambda - lambda_0) + S, (k x k), as a sparse matrix.

The values of C are (k + nnz,): the diagonal, then S on its support. Products with C and the
gradient at its places take nnz multiply-adds a column as CSR; where torch has no CSR kernel (half
precision, builds without MKL, accelerators) C is written out and a dense product serves.

Operands are (k, n), the side that C acts on first: their rows, which the sparse products run along,
are then contiguous. Transposing them for each product took longer than the products themselves.
"""

import warnings

import torch
from torch import Tensor, nn

# Said once a process by torch; the tests pin the products that are used here.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")


def has_sparse_kernels(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether CSR products and `sampled_addmm` exist, and win (docs/method.md has the timings)."""
    wide_enough = dtype in (torch.float32, torch.float64)
    return device.type == "cpu" and wide_enough and torch.backends.mkl.is_available()


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
        support = support.cpu()
        places = torch.cat([torch.arange(width) * (width + 1), support])
        mirrored = places % width * width + places // width
        edges = torch.arange(width + 1) * width
        by_row, order = places.sort()
        by_column, transposed_order = mirrored.sort()
        buffers = {
            "places": places,
            "order": order,  # values[order] go row by row
            "rank": order.argsort(),  # and back
            "row_starts": torch.searchsorted(by_row, edges),
            "columns": by_row % width,
            "transposed_order": transposed_order,
            "column_starts": torch.searchsorted(by_column, edges),
            "rows": by_column % width,
        }
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)

    def matrix(self, values: Tensor) -> Tensor:
        """C (k, k), written out."""
        empty = values.new_zeros(self.width * self.width)
        return empty.scatter_(0, self.places, values).view(self.width, self.width)

    def times(self, values: Tensor, other: Tensor) -> Tensor:
        """C times `other` (k, n); fast where that is contiguous, as all operands here."""
        if not has_sparse_kernels(other.device, other.dtype):
            return self.matrix(values).to(other.dtype) @ other
        values = values.to(other.dtype)[self.order]
        return _product(_csr(self.row_starts, self.columns, values, self.width), other)

    def transposed_times(self, values: Tensor, other: Tensor) -> Tensor:
        """C^T times `other` (k, n)."""
        if not has_sparse_kernels(other.device, other.dtype):
            return self.matrix(values).to(other.dtype).T @ other
        values = values.to(other.dtype)[self.transposed_order]
        return _product(_csr(self.column_starts, self.rows, values, self.width), other)

    def gradient(self, left: Tensor, right: Tensor) -> Tensor:
        """Entries of left right^T at the places of C, (k + nnz,), for left and right (k, n)."""
        if not has_sparse_kernels(left.device, left.dtype):
            return (left @ right.T).view(-1)[self.places]
        sample = _csr(self.row_starts, self.columns, left.new_zeros(len(self.order)), self.width)
        sampled = torch.sparse.sampled_addmm(sample, left, right.T, beta=0.0)
        return sampled.values()[self.rank]


def _csr(starts: Tensor, indices: Tensor, values: Tensor, width: int) -> Tensor:
    """The pattern is right by construction, so torch is spared checking it at every step."""
    return torch.sparse_csr_tensor(starts, indices, values, (width, width), check_invariants=False)


def _product(sparse: Tensor, other: Tensor) -> Tensor:
    """As `sparse @ other`, which would write zeros and copy them before it multiplies."""
    out = torch.empty_like(other, memory_format=torch.contiguous_format)
    return torch.addmm(out, sparse, other.contiguous(), beta=0.0, out=out)
