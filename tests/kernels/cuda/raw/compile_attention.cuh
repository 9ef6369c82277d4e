/// What instantiates attention for a head size, an element type and a kind of position.
#pragma once
#include <flamingo/kernels/cuda/raw/attention.cuh>

#define INSTANTIATE_ATTENTION(K, R, Position)                                                                       \
  template cudaError_t attention_forward<K, R, Position>(AttentionShape, AttentionTables, Strided<const R>,         \
                                                         Pools<const R>, Accumulate<R>, Position, Strided<R>,       \
                                                         Accumulate<R>*, cudaStream_t);                             \
  template cudaError_t attention_backward<K, R, Position>(                                                          \
      AttentionShape, AttentionTables, Strided<const R>, Pools<const R>, Accumulate<R>, Position, Strided<const R>, \
      const Accumulate<R>*, Strided<const R>, Strided<R>, Pools<R>, Accumulate<R>*, cudaStream_t);
