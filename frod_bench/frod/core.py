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
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Said once a process by torch; the tests pin the products that are used here.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")

BLOCK = 768  # columns: of 512 to 768 float32 each, 1.5 to 2.3 MB

HAS_MKL = torch.backends.mkl.is_available()  # asked once: a compiled graph can't ask

# Above this share of places that are trained, the written-out C is as fast (docs/method.md).
MAX_SPARSE_SHARE = 0.15


def by_columns(factor: Tensor) -> Tensor:
    """V or U (n, r) held column by column: what C acts on is its transpose, which is contiguous."""
    return factor.T.contiguous().T


def has_sparse_kernels(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch has CSR products and `sampled_addmm`."""
    wide_enough = dtype in (torch.float32, torch.float64)
    return device.type == "cpu" and wide_enough and HAS_MKL


def float32_is_full() -> bool:
    """Whether float32 products are float32 throughout: no TF32 or bfloat16 inside."""
    return torch.get_float32_matmul_precision() == "highest"


@dataclass(frozen=True)
class BlockedPattern:
    """Where a sparse (k, k) matrix has values: CSR matrices of `BLOCK` columns each, side by side.

    On the CPU, where the kernels are, and in the integers that torch's build of MKL takes: int64
    is converted at every product, which takes a small layer longer than the product.

    Attributes:
        order: places[order] go block by block, row by row; int64 (nnz,).
        starts: of the rows within each block, int32 (k + 1,).
        columns: within the block, int32 (nnz of the block,).
    """

    order: Tensor
    starts: list[Tensor]
    columns: list[Tensor]

    @classmethod
    def of(cls, places: Tensor, width: int) -> "BlockedPattern":
        """The pattern of places row * k + column."""
        blocks = torch.arange(-(-width // BLOCK), device="cpu")[:, None] * width**2
        by_block, order = (places % width // BLOCK * width**2 + places).sort()
        rows = torch.arange(width + 1, device="cpu") * width
        edges = torch.searchsorted(by_block, blocks + rows)
        sizes = (edges[:, -1] - edges[:, 0]).tolist()
        columns = (by_block % width % BLOCK).int().split(sizes)
        starts = (edges - edges[:, :1]).int()
        return cls(order, [row.clone() for row in starts], [part.clone() for part in columns])


class CorePattern(nn.Module):
    """Where C is trained, by rows and by columns; the same for all layers of a category.

    And on all ranks of a data-parallel run, which draw it from the same seed.
    """

    places: Tensor

    def __init__(self, width: int, support: Tensor) -> None:
        """
        Args:
            width: k.
            support: places row * k + column of S, off the diagonal, int64 (nnz,).
        """
        super().__init__()
        self.width = width
        places = torch.cat([torch.arange(width, device="cpu") * (width + 1), support.cpu()])
        self.register_buffer("places", places, persistent=False)
        self._rows = BlockedPattern.of(places, width)
        self._columns = BlockedPattern.of(places % width * width + places // width, width)
        self._from_blocks = self._rows.order.argsort()

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
        return _blocks_times(self._rows, values, other)

    def transposed_times(self, values: Tensor, other: Tensor) -> Tensor:
        """C^T times `other` (k, n)."""
        if not self.is_sparse_on(other.device, other.dtype):
            return self.matrix(values).to(other.dtype).T @ other
        return _blocks_times(self._columns, values, other)

    def gradient(self, left: Tensor, right: Tensor) -> Tensor:
        """Entries of left right^T at the places of C, (k + nnz,), for left and right (k, n)."""
        if not self.is_sparse_on(left.device, left.dtype):
            return (left @ right.T).view(-1)[self.places]
        sampled = _sampled_operator if torch.compiler.is_compiling() else _sampled
        found = sampled(self._rows.starts, self._rows.columns, left, right)
        return found.index_select(0, self._from_blocks)


def _blocks_times(pattern: BlockedPattern, values: Tensor, other: Tensor) -> Tensor:
    """The matrix of these values, as `CorePattern.places` has them, times `other` (k, n)."""
    product = _product_operator if torch.compiler.is_compiling() else _product
    values = values.to(other.dtype).index_select(0, pattern.order)
    return product(pattern.starts, pattern.columns, values, other)


def _csr_blocks(
    starts: list[Tensor], indices: list[Tensor], values: Tensor
) -> Iterator[tuple[slice, Tensor]]:
    """The columns of each block, and the block (k x columns).

    The pattern is right by construction, so torch is spared checking it at every step.
    """
    width = len(starts[0]) - 1
    parts = zip(starts, indices, values.split([len(part) for part in indices]), strict=True)
    for number, part in enumerate(parts):
        columns = slice(number * BLOCK, min((number + 1) * BLOCK, width))
        size = (width, columns.stop - columns.start)
        yield columns, torch.sparse_csr_tensor(*part, size=size, check_invariants=False)


def _product(starts: list[Tensor], indices: list[Tensor], values: Tensor, other: Tensor) -> Tensor:
    """The sparse matrix times `other`; `@` would write zeros and copy them before it multiplies."""
    other = other.contiguous()
    out = torch.empty_like(other)
    for columns, block in _csr_blocks(starts, indices, values):
        torch.addmm(out, block, other[columns], beta=float(columns.start > 0), out=out)
    return out


def _sampled(starts: list[Tensor], indices: list[Tensor], left: Tensor, right: Tensor) -> Tensor:
    """Entries of left right^T at the places of the pattern, in its order."""
    left, right = left.contiguous(), right.contiguous()  # copied here once, not once a block
    empty = left.new_zeros(sum(len(part) for part in indices))
    found = [
        torch.sparse.sampled_addmm(block, left, right[columns].T, beta=0.0).values()
        for columns, block in _csr_blocks(starts, indices, empty)
    ]
    return torch.cat(found)


# Sparse tensors can't be traced: in a compiled graph each of these products is one node.
_product_operator = torch.library.custom_op("frod::csr_product", _product, mutates_args=())
_sampled_operator = torch.library.custom_op("frod::csr_sampled", _sampled, mutates_args=())


@_product_operator.register_fake
def _product_shape(
    starts: list[Tensor], indices: list[Tensor], values: Tensor, other: Tensor
) -> Tensor:
    del starts, indices, values
    return torch.empty_like(other, memory_format=torch.contiguous_format)


@_sampled_operator.register_fake
def _sampled_shape(
    starts: list[Tensor], indices: list[Tensor], left: Tensor, right: Tensor
) -> Tensor:
    del starts, right
    return left.new_empty(sum(len(part) for part in indices))
