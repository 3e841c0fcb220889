"""What kernels share that are written in LLVM's own vectors: sixteen numbers at once, sums that stay in registers,
addresses instead of arrays. numba compiles such a loop in a tenth of the time that it takes for one over arrays, and no
loop begins with a test whether two arrays overlap.

LLVM computes what it is told, in that order, and fuses nothing; on a processor with shorter vectors it takes two for
one. numba frees an array after its last use by name: what is told by its address has to be named afterwards.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils

LANES = 16
I1, I8, I16, I32, I64, FLOAT = (*(ir.IntType(bits) for bits in (1, 8, 16, 32, 64)), ir.FloatType())
FLOATS, WHOLE, SHORT, CHOSEN = (ir.VectorType(item, LANES) for item in (FLOAT, I32, I16, I1))
ZEROS = FLOATS([0.0] * LANES)
ROUND = np.float32(12582912.0)  # 1.5 * 2^23: adding it rounds to a whole number, ties to even, which has the low bits
ALIGNED = 4  # bytes; of what lies in numba's arrays no more is known


def called(builder, name, result, *arguments):
    """Call one of LLVM's own functions."""
    kind = ir.FunctionType(result, [each.type for each in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def pointer(builder, address, item, offset=0):
    """Return an address, and so many bytes more, as a pointer to `item`."""
    offset = offset if isinstance(offset, ir.Value) else I64(offset)
    return builder.inttoptr(builder.add(address, offset), item.as_pointer())


def everywhere(builder, number):
    """Return a vector of 16 times the same number."""
    kind = ir.VectorType(number.type, LANES)
    alone = builder.insert_element(kind(ir.Undefined), number, I32(0))
    return builder.shuffle_vector(alone, alone, WHOLE([0] * LANES))


def loaded(builder, address, n=1):
    """Return the `n` vectors of floats that lie at an address."""
    return [builder.load(pointer(builder, address, FLOATS, 64 * at), align=ALIGNED) for at in range(n)]


def widened(builder, address, n=1):
    """Return the same for the bits of bf16."""
    short = [builder.load(pointer(builder, address, SHORT, 32 * at), align=2) for at in range(n)]
    wide = [builder.shl(builder.zext(each, WHOLE), WHOLE([16] * LANES)) for each in short]
    return [builder.bitcast(each, FLOATS) for each in wide]


def asked(builder, address, n_bytes):
    """Ask memory for so many bytes, which are needed soon; an address where nothing is does no harm."""
    for offset in range(0, n_bytes, 64):
        line = pointer(builder, address, I8, offset)
        called(builder, "llvm.prefetch.p0", ir.VoidType(), line, I32(0), I32(3), I32(1))


def stored(builder, vectors, address):
    for at, vector in enumerate(vectors):
        builder.store(vector, pointer(builder, address, FLOATS, 64 * at), align=ALIGNED)


def repeated(builder, rounds, begins, body):
    """Emit a loop of at least one round, and return what its vectors are in the end.

    begins: what they are at first. body(round, vectors): emits a round, and returns what they are after it."""
    before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
    builder.branch(loop)
    builder.position_at_end(loop)
    number = builder.phi(I64)
    old = [builder.phi(begin.type) for begin in begins]
    new = body(number, old)
    further = builder.add(number, I64(1))
    end_of_loop = builder.block
    builder.cbranch(builder.icmp_signed("<", further, rounds), loop, after)
    for phi, begin, end in zip([number, *old], [I64(0), *begins], [further, *new], strict=True):
        phi.add_incoming(begin, before)
        phi.add_incoming(end, end_of_loop)
    builder.position_at_end(after)
    return new
