/// Linear maps with what follows them on CUDA: for the few rows of decoding, by raw/few_rows.cuh and
/// raw/packed_rows.cuh; for many rows, sums by cuBLASLt.
#pragma once
#include <tuple>

#include <flamingo/kernels/cuda/nonlinearity.cuh>
#include <flamingo/kernels/cuda/packed.cuh>
#include <flamingo/kernels/cuda/raw/few_rows.cuh>
#include <flamingo/kernels/cuda/raw/packed_rows.cuh>
#include <flamingo/ops/fused_linear.hpp>

namespace flamingo::kernels {

template <Real R>
struct FusedLinear<Cuda<R>> {
  using P = Cuda<R>;
  using A = AccumulateOf<P>;

  template <class... Map>
    requires(sizeof...(Map) <= raw::RowMaps<1, float>::most)
  static bool several(Context<P>& ctx, In<P> x, const Map&... map) {
    constexpr const char* op = "linears";
    constexpr int count = sizeof...(Map);
    const int there = (int{numbers_in_place<R>(map.w) != nullptr} + ...);
    const auto& first = std::get<0>(std::tie(map.w...));
    const int D = first.columns;
    if (there == count && x.rows <= raw::few_rows) {
      check_cuda(raw::few_rows_several<Number>(bare(x.data), {{row_map(map)...}, count}, x.rows, D, ctx.stream()), op);
      return true;
    }
    if constexpr ((is_packed<decltype(map.w)> && ...)) {
      const bool same = ((map.w.format == first.format) && ...);
      if (there == 0 && same && x.rows <= CudaProducts::packed_rows) {
        check_cuda(raw::packed_rows_several<Number>(
                       bare(x.data),
                       {{raw::PackedMap<Number>{raw_of(map.w, op), vector_of(map.b), bare(map.y.data)}...}, count},
                       x.rows, ctx.stream()),
                   op);
        return true;
      }
    }
    return false;
  }
  template <Activation F, class W, class B>
  static bool activate(Context<P>& ctx, In<P> x, const W& w, const B& b, Out<P> y) {
    const R* const numbers = numbers_in_place<R>(w);
    if (!numbers || x.rows > raw::few_rows) return false;
    check_cuda(raw::few_rows_activate<Function<F>>(bare(x.data), bare(numbers), vector_of(b), bare(y.data), x.rows,
                                                   w.columns, w.rows, ctx.stream()),
               "linear_activate");
    return true;
  }
  template <Activation F, class W, class U>
  static bool gate_activate(Context<P>& ctx, In<P> x, const W& w_gate, const U& w_up, Out<P> y) {
    const R *const gate = numbers_in_place<R>(w_gate), *const up = numbers_in_place<R>(w_up);
    if (!gate || !up || x.rows > raw::few_rows) return false;
    check_cuda(raw::few_rows_gate_activate<Function<F>>(bare(x.data), bare(gate), bare(up), bare(y.data), x.rows,
                                                        w_gate.columns, w_gate.rows, ctx.stream()),
               "linear_gate_activate");
    return true;
  }
  template <class W, class B, class Gate>
  static bool onto(Context<P>& ctx, In<P> x, const W& w, const B& b, In<P> stream, const Gate& gate, Out<P> y) {
    constexpr const char* op = "linear_onto";
    constexpr bool plain = !wanted<B> && !wanted<Gate>;
    const R* const numbers = numbers_in_place<R>(w);
    if (numbers && x.rows <= raw::few_rows) {
      check_cuda(raw::few_rows_onto(bare(x.data), bare(numbers), vector_of(b), bare(stream.data), vector_of(gate),
                                    count_of(gate), bare(y.data), x.rows, w.columns, w.rows, ctx.stream()),
                 op);
      return true;
    }
    if constexpr (is_packed<W>)
      if (!numbers && x.rows <= CudaProducts::packed_rows) {
        check_cuda(raw::packed_rows_onto(bare(x.data), raw_of(w, op), vector_of(b), bare(stream.data), vector_of(gate),
                                         count_of(gate), bare(y.data), x.rows, ctx.stream()),
                   op);
        return true;
      }
    if constexpr (plain) {
      const auto scope = ctx.scope();
      ctx.products().forward_onto(bare(x.data), bare(numbers_of(ctx, w, op)), bare(stream.data), bare(y.data), x.rows,
                                  w.columns, w.rows, ctx.stream(), op);
    }
    return plain;
  }

 private:
  template <Activation F>
  using Function = typename detail::FunctionOf<F>::type;

  using Number = typename flamingo::detail::Bare<R>::Type;
  template <class Map>
  static raw::RowMap<1, Number> row_map(const Map& map) {
    return {{bare(numbers_in_place<R>(map.w))}, vector_of(map.b), bare(map.y.data), map.w.rows};
  }

  /// The numbers of a vector, or null where a config has none.
  template <class V>
  static const A* vector_of(const V& v) {
    if constexpr (wanted<V>)
      return v.data;
    else
      return nullptr;
  }
  template <class V>
  static int count_of(const V& v) {
    if constexpr (wanted<V>)
      return int(v.length);
    else
      return 1;
  }
};

}  // namespace flamingo::kernels
