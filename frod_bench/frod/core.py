"""The trained core C = diag(lambda - lambda_0) + S, (k x k), as a sparse matrix.

Its values are (k + nnz,): the diagonal, then S on its support. Products with C, and its gradient on
the trained entries, take nnz multiply-adds per column in CSR format. Where torch has no CSR kernel
(half precision, builds without MKL, accelerators), C is written out as a dense matrix.

Operands are (k, n), with the dimension that C acts on first, so that the rows that the sparse
kernels traverse are contiguous: transposing for each product takes longer than the product. C is
stored in blocks of columns, each in CSR format, so that the rows of the operand that a block reads
stay in the cache of a core; this halves the time of wide products.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# torch warns once per process; the tests pin the products that are used here.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")

BLOCK = 768  # columns; the operand's rows for them take 1.5 to 2.3 MB in float32

HAS_MKL = torch.backends.mkl.is_available()  # a compiled graph cannot query it

# Above this fraction of trained entries, the dense product is as fast (docs/explanation/method.md).
MAX_SPARSE_SHARE = 0.15


def by_columns(factor: Tensor) -> Tensor:
    """Return V or U, (n, r), column-major: the transpose, which C acts on, is contiguous."""
    return factor.T.contiguous().T


def has_sparse_kernels(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch has CSR products and `sampled_addmm`."""
    return device.type == "cpu" and dtype in (torch.float32, torch.float64) and HAS_MKL


def float32_is_full() -> bool:
    """Whether float32 products use float32 throughout, without TF32 or bfloat16 inside."""
    return torch.get_float32_matmul_precision() == "highest"


@dataclass(frozen=True)
class BlockedPattern:
    """Sparsity pattern of a (k, k) matrix, as CSR matrices of `BLOCK` columns each.

    Its tensors are on the CPU, where the kernels are, and in int32, the integers of torch's MKL
    build: int64 would be converted in every product.

    Attributes:
        order: permutation that sorts the entries by block, then by row, int64 (nnz,).
        starts: row pointers of each block, int32 (k + 1,).
        columns: column indices within each block, int32 (nnz of the block,).
    """

    order: Tensor
    starts: list[Tensor]
    columns: list[Tensor]

    @classmethod
    def of(cls, indices: Tensor, width: int) -> "BlockedPattern":
        """Build the pattern of the entries with flat indices row * k + column."""
        blocks = torch.arange(-(-width // BLOCK), device="cpu")[:, None] * width**2
        by_block, order = (indices % width // BLOCK * width**2 + indices).sort()
        rows = torch.arange(width + 1, device="cpu") * width
        edges = torch.searchsorted(by_block, blocks + rows)
        sizes = (edges[:, -1] - edges[:, 0]).tolist()
        columns = (by_block % width % BLOCK).int().split(sizes)
        starts = (edges - edges[:, :1]).int()
        return cls(order, [row.clone() for row in starts], [part.clone() for part in columns])


class CorePattern(nn.Module):
    """The trained entries of C, by rows and by columns; one object for all layers of a category.

    All ranks of a data-parallel run draw the same support from the same seed.

    Attributes:
        width: k.
        indices: flat indices row * k + column of the diagonal, then of S, int64 (k + nnz,).
    """

    indices: Tensor

    def __init__(self, width: int, support: Tensor) -> None:
        super().__init__()
        self.width = width
        indices = torch.cat([torch.arange(width, device="cpu") * (width + 1), support.cpu()])
        self.register_buffer("indices", indices, persistent=False)
        self._rows = BlockedPattern.of(indices, width)
        self._columns = BlockedPattern.of(indices % width * width + indices // width, width)
        self._from_blocks = self._rows.order.argsort()

    def is_sparse_on(self, device: torch.device, dtype: torch.dtype) -> bool:
        """Whether C is multiplied as a sparse matrix: if torch can, and if that is faster."""
        is_sparse = len(self.indices) <= MAX_SPARSE_SHARE * self.width**2
        return is_sparse and has_sparse_kernels(device, dtype)

    def matrix(self, values: Tensor) -> Tensor:
        """Return C as a dense (k, k) matrix."""
        empty = values.new_zeros(self.width * self.width)
        return empty.scatter_(0, self.indices, values).view(self.width, self.width)

    def times(self, values: Tensor, other: Tensor) -> Tensor:
        """Return C @ other for `other` (k, n), which should be contiguous."""
        if not self.is_sparse_on(other.device, other.dtype):
            return self.matrix(values).to(other.dtype) @ other
        return _blocks_times(self._rows, values, other)

    def transposed_times(self, values: Tensor, other: Tensor) -> Tensor:
        """Return C^T @ other for `other` (k, n)."""
        if not self.is_sparse_on(other.device, other.dtype):
            return self.matrix(values).to(other.dtype).T @ other
        return _blocks_times(self._columns, values, other)

    def gradient(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the trained entries of left @ right^T, (k + nnz,), for left and right (k, n)."""
        if not self.is_sparse_on(left.device, left.dtype):
            return (left @ right.T).view(-1)[self.indices]
        sampled = _sampled_operator if torch.compiler.is_compiling() else _sampled
        found = sampled(self._rows.starts, self._rows.columns, left, right)
        return found.index_select(0, self._from_blocks)


def _blocks_times(pattern: BlockedPattern, values: Tensor, other: Tensor) -> Tensor:
    """Multiply the matrix with `values`, ordered as `CorePattern.indices`, by `other` (k, n)."""
    product = _product_operator if torch.compiler.is_compiling() else _product
    values = values.to(other.dtype).index_select(0, pattern.order)
    return product(pattern.starts, pattern.columns, values, other)


def _csr_blocks(
    starts: list[Tensor], indices: list[Tensor], values: Tensor
) -> Iterator[tuple[slice, Tensor]]:
    """Iterate over the column range of each block and the block, (k x columns).

    The pattern is valid by construction, so torch does not check it at every step.
    """
    width = len(starts[0]) - 1
    parts = zip(starts, indices, values.split([len(part) for part in indices]), strict=True)
    for number, part in enumerate(parts):
        columns = slice(number * BLOCK, min((number + 1) * BLOCK, width))
        size = (width, columns.stop - columns.start)
        yield columns, torch.sparse_csr_tensor(*part, size=size, check_invariants=False)


def _product(starts: list[Tensor], indices: list[Tensor], values: Tensor, other: Tensor) -> Tensor:
    """Sparse matrix @ other; the operator `@` would write and copy zeros before it multiplies."""
    other = other.contiguous()
    out = torch.empty_like(other)
    for columns, block in _csr_blocks(starts, indices, values):
        torch.addmm(out, block, other[columns], beta=float(columns.start > 0), out=out)
    return out


def _sampled(starts: list[Tensor], indices: list[Tensor], left: Tensor, right: Tensor) -> Tensor:
    """Entries of left @ right^T on the pattern, in its order."""
    left, right = left.contiguous(), right.contiguous()  # copied once, not once per block
    empty = left.new_zeros(sum(len(part) for part in indices))
    found = [
        torch.sparse.sampled_addmm(block, left, right[columns].T, beta=0.0).values()
        for columns, block in _csr_blocks(starts, indices, empty)
    ]
    return torch.cat(found)


# Sparse tensors cannot be traced: in a compiled graph each of these products is one node.
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
