/// What instantiates attention for a head size, an element type and a kind of position.
#pragma once
#include <flamingo/kernels/cuda/raw/attention.cuh>
#include <flamingo/kernels/cuda/raw/attention_decode.cuh>

#define INSTANTIATE_ATTENTION(K, R, Position)                                                                       \
  template cudaError_t attention_forward<K, R, Position>(AttentionShape, AttentionTables, Strided<const R>,         \
                                                         Pools<const R>, Accumulate<R>, Position, Strided<R>,       \
                                                         Accumulate<R>*, cudaStream_t);                             \
  template cudaError_t attention_backward<K, R, Position>(                                                          \
      AttentionShape, AttentionTables, Strided<const R>, Pools<const R>, Accumulate<R>, Position, Strided<const R>, \
      const Accumulate<R>*, Strided<const R>, Strided<R>, Pools<R>, Accumulate<R>*, cudaStream_t);

#define INSTANTIATE_DECODE(K, R, Position)                                                                             \
  template cudaError_t attention_decode<K, R, Position>(                                                               \
      const AttentionShape&, const AttentionTables&, Strided<const R>, const Pools<const R>&, Accumulate<R>, Position, \
      int, Accumulate<R>*, Strided<R>, Accumulate<R>*, cudaStream_t);
