"""What the layers of a category share: V, P if they hold no U, and which entries of C are trained.

C = diag(lambda - lambda_0) + S, (k x k), is a sparse matrix. Its values are (k + nnz,): the
diagonal, then S on its support. Operands are (k, n). Without CSR kernels C is written out as a
dense matrix. docs/explanation/method.md (section 2) has the reasons.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from .config import FrodConfig

# torch warns once per process; the tests pin the products that are used here.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")

BLOCK = 768  # columns; the operand's rows for them take 1.5 to 2.3 MB in float32

HAS_MKL = torch.backends.mkl.is_available()  # a compiled graph cannot query it

# Above this fraction of trained entries, the dense product is as fast (docs/explanation/method.md).
MAX_SPARSE_SHARE = 0.15


def by_columns(factor: Tensor) -> Tensor:
    """Return V or U, (n, r), column-major: the transpose, which C acts on, is contiguous."""
    return factor.T.contiguous().T


def is_recorded() -> bool:
    """Whether the host's calls are recorded, by `torch.compile` or in a CUDA graph.

    A replay does not repeat the host's decisions, so none of them may depend on the trained values.
    A graph forms every tensor that it needs: it uses none that was kept before, and none of its own
    is kept for later.
    """
    return torch.compiler.is_compiling() or is_captured()


def is_captured() -> bool:
    """Whether a CUDA graph captures the calls."""
    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()


def whole(tensor: Tensor) -> Tensor:
    """Return the tensor of which FSDP2 keeps a part in each process; all of them must call this."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def trained_dtype(base: torch.dtype) -> torch.dtype:
    """Return float32, or the type of the base if that is wider."""
    return torch.promote_types(base, torch.float32)


def moved_wide(fn: Callable[[Tensor], Tensor], tensor: Tensor) -> Tensor:
    """Return `fn(tensor)`, which moves or casts it, but in float32 or wider."""
    moved = fn(tensor)
    dtype = trained_dtype(moved.dtype)
    return moved if moved.dtype == dtype else tensor.to(moved.device, dtype)


def has_sparse_kernels(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch has CSR products and `sampled_addmm`."""
    return device.type == "cpu" and dtype in (torch.float32, torch.float64) and HAS_MKL


def float32_is_full(device: torch.device) -> bool:
    """Whether float32 products use float32 throughout, without TF32 or bfloat16 inside."""
    backend = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    precision = (
        getattr(backend.matmul, "fp32_precision", None) if hasattr(backend, "matmul") else None
    )
    if precision is None:  # an older torch
        return torch.get_float32_matmul_precision() == "highest"
    return precision in ("ieee", "none")


class BlockedPattern:
    """Sparsity pattern of a (k, k) matrix with entries at flat indices row * k + column.

    It consists of CSR matrices of `BLOCK` columns each, in int32, which the kernels need.

    Attributes:
        order: permutation that sorts the entries by block, then by row, int64 (nnz,).
        starts: row pointers of each block, int32 (k + 1,).
        columns: column indices within each block, int32 (nnz of the block,).
    """

    def __init__(self, indices: Tensor, width: int) -> None:
        blocks = torch.arange(-(-width // BLOCK), device="cpu")[:, None] * width**2
        by_block, self.order = (indices % width // BLOCK * width**2 + indices).sort()
        rows = torch.arange(width + 1, device="cpu") * width
        edges = torch.searchsorted(by_block, blocks + rows)
        sizes = (edges[:, -1] - edges[:, 0]).tolist()
        columns = (by_block % width % BLOCK).int().split(sizes)
        self.starts = [row.clone() for row in (edges - edges[:, :1]).int()]
        self.columns = [part.clone() for part in columns]


class CorePattern(nn.Module):
    """The pattern of C's trained entries, by rows and by columns; a category's layers share one.

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
        self._rows = BlockedPattern(indices, width)
        self._columns = BlockedPattern(indices % width * width + indices // width, width)
        self._from_blocks = self._rows.order.argsort()
        self._is_sparse = len(indices) <= MAX_SPARSE_SHARE * width**2

    def is_sparse_on(self, device: torch.device, dtype: torch.dtype) -> bool:
        """Whether C is multiplied as a sparse matrix: if torch can, and if that is faster."""
        return self._is_sparse and has_sparse_kernels(device, dtype)

    def times(self, values: Tensor, other: Tensor, *, transposed: bool = False) -> Tensor:
        """Return C @ other, or C^T @ other, for `other` (k, n), which should be contiguous."""
        if not self.is_sparse_on(other.device, other.dtype):
            dense = values.new_zeros(self.width**2).scatter_(0, self.indices, values)
            dense = dense.view(self.width, self.width).to(other.dtype)
            return (dense.T if transposed else dense) @ other
        pattern = self._columns if transposed else self._rows
        product = _product_operator if torch.compiler.is_compiling() else _product
        values = values.to(other.dtype).index_select(0, pattern.order)
        return product(pattern.starts, pattern.columns, values, other)

    def gradient(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the trained entries of left @ right^T, (k + nnz,), for left and right (k, n)."""
        if not self.is_sparse_on(left.device, left.dtype):
            return (left @ right.T).view(-1)[self.indices]
        sampled = _sampled_operator if torch.compiler.is_compiling() else _sampled
        found = sampled(self._rows.starts, self._rows.columns, left, right)
        return found.index_select(0, self._from_blocks)


def _csr_blocks(
    starts: list[Tensor], indices: list[Tensor], values: Tensor
) -> Iterator[tuple[slice, Tensor]]:
    """Iterate over the column range of each block and the block, (k x columns)."""
    width = starts[0].shape[0] - 1  # len() of a tensor takes a microsecond
    if len(starts) == 1:  # small layers, whose products take little longer than Python
        block = torch.sparse_csr_tensor(
            starts[0], indices[0], values, size=(width, width), check_invariants=False
        )
        yield slice(0, width), block
        return
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
    empty = left.new_zeros(sum(part.shape[0] for part in indices))
    found = [
        torch.sparse.sampled_addmm(block, left, right[columns].T, beta=0.0).values()
        for columns, block in _csr_blocks(starts, indices, empty)
    ]
    return torch.cat(found) if len(found) > 1 else found[0]


# Sparse tensors cannot be traced: in a compiled graph each of these products is one node.
_product_operator = torch.library.custom_op("frod::csr_product", _product, mutates_args=())
_sampled_operator = torch.library.custom_op("frod::csr_sampled", _sampled, mutates_args=())
_product_operator.register_fake(
    lambda *operands: torch.empty_like(operands[-1], memory_format=torch.contiguous_format)
)
_sampled_operator.register_fake(lambda _, columns, left, __: left.new_empty(sum(map(len, columns))))


class SharedBasis(nn.Module):
    """V and the support of S, as a child of each layer; its buffers are not in the state dict.

    Attributes:
        category: role of the layers in the model.
        config: settings of the adapter.
        V: (r, r), in the type of the base weights; its width is r.
        P: (r, r), if the layers have no U of their own: U = W P diag(lambda_0)^-1.
        on_outputs: whether r = m and W = V diag(lambda) U^T; else r = k and W = U diag(lambda) V^T.
    """

    V: Tensor
    P: Tensor | None

    def __init__(
        self,
        category: str,
        config: FrodConfig,
        V: Tensor,
        support: Tensor,
        *,
        P: Tensor | None = None,
        on_outputs: bool = False,
    ) -> None:
        super().__init__()
        self.category = category
        self.config = config
        self.on_outputs = on_outputs
        self.width = len(V)
        self.register_buffer("V", by_columns(V), persistent=False)
        P = None if P is None else by_columns(P.to(V.device))
        self.register_buffer("P", P, persistent=False)
        self.pattern = CorePattern(len(V), support).to(V.device)
        largest = 1.0 if V.is_meta else float(V.abs().sum(dim=0, dtype=torch.float32).max())
        self._float16_scale = 2.0 ** math.ceil(math.log2(max(1.0, largest)))
        self._casts: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def V_in(self, dtype: torch.dtype) -> tuple[Tensor, float]:
        """Return V / scale in `dtype`, cast once for all layers of the category, and the scale.

        In float16, V^T x could overflow although W x does not. If V is on the inputs, the scale is
        then the power of two that bounds the entries of V^T x / scale by the largest entry of x. In
        all other cases it is 1.
        """
        V = self.V
        if dtype == V.dtype != torch.float16:
            return V, 1.0
        scale = self._float16_scale if dtype == torch.float16 and not self.on_outputs else 1.0
        if is_recorded():
            return (V / scale).to(dtype), scale
        key = V.device, dtype
        if key not in self._casts:
            with torch.inference_mode(False), torch.no_grad():  # a later step may save it
                self._casts[key] = (V / scale).to(dtype)
        return self._casts[key], scale

    @property
    def support(self) -> Tensor:
        """Sorted flat indices row * r + column of S, int64 (nnz,)."""
        return self.pattern.indices[self.width :]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "SharedBasis":
        """Move or cast; P stays float32 or wider: layers that are cast need it for U."""
        self._casts.clear()
        P = self.P

        def move(tensor: Tensor) -> Tensor:
            return moved_wide(fn, tensor) if tensor is P else fn(tensor)

        super()._apply(move, recurse)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_casts": {}}

    def extra_repr(self) -> str:
        return f"category={self.category!r}, width={self.width}"


def support_size(width: int, sparse_rate: float) -> int:
    """Return nnz of a k x k rotation: max(1, min(int(k k s), k (k - 1))); 0 if s = 0 or k = 1."""
    candidates = width * (width - 1)
    if sparse_rate == 0 or candidates == 0:
        return 0
    return max(1, min(int(width * width * sparse_rate), candidates))


def draw_support(width: int, sparse_rate: float, generator: torch.Generator) -> Tensor:
    """Draw the flat indices row * k + column of one category's S, int64 (nnz,).

    Off-diagonal entries are ranked row by row: rank p is in row p // (k - 1), at column
    c = p % (k - 1), or c + 1 from the diagonal on. The CPU `generator` is advanced.
    """
    size = support_size(width, sparse_rate)
    if size == 0:  # PEFT does not advance its generator either
        return torch.empty(0, dtype=torch.int64)
    ranks = torch.randperm(width * (width - 1), generator=generator, device="cpu")[:size]
    row = ranks // (width - 1)
    column = ranks % (width - 1)
    column += (column >= row).to(column.dtype)
    return row * width + column


def draw_supports(widths: dict[str, int], sparse_rate: float, seed: int) -> dict[str, Tensor]:
    """Draw a support for each category in `widths` (name -> k), with one generator.

    The categories are drawn in the order of their names. Entry by entry, the supports equal those
    that PEFT (0.21 or newer) draws for the same seed (docs/explanation/method.md, section 3).
    `sort()` brings a support into the order of the trained values.
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)
    return {name: draw_support(widths[name], sparse_rate, generator) for name in sorted(widths)}
