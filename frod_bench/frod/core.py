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

HAS_MKL = torch.backends.mkl.is_available()  # asked once: a compiled graph can't ask


def has_sparse_kernels(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether CSR products and `sampled_addmm` exist, and win (docs/method.md has the timings)."""
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
        return _product(self.row_starts, self.columns, values, other)

    def transposed_times(self, values: Tensor, other: Tensor) -> Tensor:
        """C^T times `other` (k, n)."""
        if not has_sparse_kernels(other.device, other.dtype):
            return self.matrix(values).to(other.dtype).T @ other
        values = values.to(other.dtype)[self.transposed_order]
        return _product(self.column_starts, self.rows, values, other)

    def gradient(self, left: Tensor, right: Tensor) -> Tensor:
        """Entries of left right^T at the places of C, (k + nnz,), for left and right (k, n)."""
        if not has_sparse_kernels(left.device, left.dtype):
            return (left @ right.T).view(-1)[self.places]
        return _sampled(self.row_starts, self.columns, left, right)[self.rank]


def _csr(starts: Tensor, indices: Tensor, values: Tensor) -> Tensor:
    """The pattern is right by construction, so torch is spared checking it at every step."""
    width = len(starts) - 1
    return torch.sparse_csr_tensor(starts, indices, values, (width, width), check_invariants=False)


def _product(starts: Tensor, indices: Tensor, values: Tensor, other: Tensor) -> Tensor:
    """As `sparse @ other`, which would write zeros and copy them before it multiplies."""
    if torch.compiler.is_compiling():
        return _product_operator(starts, indices, values, other)
    out = torch.empty_like(other, memory_format=torch.contiguous_format)
    sparse = _csr(starts, indices, values)
    return torch.addmm(out, sparse, other.contiguous(), beta=0.0, out=out)


def _sampled(starts: Tensor, indices: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Entries of left right^T at the places of the CSR pattern, row by row."""
    if torch.compiler.is_compiling():
        return _sampled_operator(starts, indices, left, right)
    sample = _csr(starts, indices, left.new_zeros(len(indices)))
    return torch.sparse.sampled_addmm(sample, left, right.T, beta=0.0).values()


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
