/// Dense products on the CPU.
#pragma once
#include <concepts>
#include <utility>

#include <flamingo/kernels/cpu/bf16_pairs.hpp>
#include <flamingo/kernels/cpu/few_rows.hpp>
#include <flamingo/kernels/cpu/gemm.hpp>
#include <flamingo/kernels/cpu/int8_pairs.hpp>
#include <flamingo/kernels/cpu/linear_bias.hpp>
#include <flamingo/kernels/cpu/linear_eigen.hpp>
#include <flamingo/kernels/cpu/panels.hpp>
#include <flamingo/ops/linear.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Linear<Cpu<R, Set, Products::own>> : LinearBias<Cpu<R, Set, Products::own>> {
  using P = Cpu<R, Set, Products::own>;
  using G = Gemm<R, Set>;

  template <class W>
  static void forward(Context<P>& ctx, In<P> x, const W& w, Out<P> y) {
    product(ctx, x, w, {}, y);
  }
  template <class W, class B>
  static void forward(Context<P>& ctx, In<P> x, const W& w, const B& b, Out<P> y) {
    product(ctx, x, w, {nullptr, b.data}, y);
  }

  template <class W>
  static void backward_input(Context<P>& ctx, const W& w, In<P> dy, Out<P> dx) {
    const auto width = static_cast<std::size_t>(dy.width);
    typename G::Left a{dy.data, width, 1};
    if constexpr (requires { w.panels; })
      if (ctx.rounds_to_bf16 && w.format == Format::bf16 && dy.rows > 0) {
        if (multiply_row_pairs(ctx, w, dy, dx)) return;
        a.data = rounded_to_bf16(ctx.threads(), dy.data, width, dy.rows, dy.width);
      }
    const auto source = source_of<R>(w);
    G::run(ctx.threads(), dy.rows, w.columns, w.rows, a, {dx.data, static_cast<std::size_t>(dx.width), false},
           [&](int k0, int kn, int n0, int nn, R* panels) { G::pack_rows(source, k0, kn, n0, nn, panels); });
  }

  template <int O, int D>
  static void backward_weight(Context<P>& ctx, In<P> x, In<P> dy, const MatrixView<P, O, D, R>& dw) {
    const PlainSource<R, R> source{x.data, static_cast<std::size_t>(x.width)};
    G::run(ctx.threads(), dw.rows, dw.columns, x.rows, {dy.data, 1, static_cast<std::size_t>(dy.width)},
           {dw.data, static_cast<std::size_t>(dw.columns), true},
           [&](int k0, int kn, int n0, int nn, R* panels) { G::pack_rows(source, k0, kn, n0, nn, panels); });
  }

 private:
  /// y = x wᵀ, then what `finish` says. The scales of int8 rows are part of that.
  template <class W>
  static void product(Context<P>& ctx, In<P> x, W w, typename G::Finish finish, Out<P> y) {
    const auto width = static_cast<std::size_t>(x.width), to_width = static_cast<std::size_t>(y.width);
    typename G::Left a{x.data, width, 1};
    const typename G::Result c{y.data, to_width, false};
    if constexpr (requires { w.panels; }) {
      if (ctx.rounds_to_bf16 && w.format == Format::bf16 && x.rows > 0) {
        if (multiply_pairs(ctx, x, w, finish, y)) return;
        a.data = rounded_to_bf16(ctx.threads(), x.data, width, x.rows, x.width);
      }
      if (ctx.rounds_to_int16 && w.format == Format::int8 && multiply_integers(ctx, x, w, finish.bias, y)) return;
      finish.scales = std::exchange(w.scales, nullptr);
      if constexpr (std::same_as<R, float>)
        if (w.panels && x.rows <= FewRows<Set>::most && w.columns > 0)
          return FewRows<Set>::run(ctx.threads(), w, {a.data, width, y.data, to_width, x.rows}, finish);
      if constexpr (std::same_as<R, float> && G::nr == panel_rows)
        if (w.panels && w.format == Format::f32)
          return G::run_in_place(ctx.threads(), x.rows, w.rows, w.columns, a, c, reinterpret_cast<const float*>(w.data),
                                 finish);
      if (w.panels)
        return G::run(
            ctx.threads(), x.rows, w.rows, w.columns, a, c,
            [&](int k0, int kn, int n0, int nn, R* panels) { pack_panels<G::nr>(w, k0, kn, n0, nn, panels); }, finish,
            1);
    }
    const auto source = source_of<R>(w);
    G::run(
        ctx.threads(), x.rows, w.rows, w.columns, a, c,
        [&](int k0, int kn, int n0, int nn, R* panels) { G::pack_columns(source, k0, kn, n0, nn, panels); }, finish, 1);
  }

  /// y = x wᵀ of `rows` rows whose numbers lie in pairs, then what `finish` says; pack writes panels of pairs.
  template <class Step, class W, class Pack>
  static void multiply_steps(Context<P>& ctx, const float* numbers, int rows, const W& w,
                             const typename Gemm<float, Set, Step>::Finish& finish, Out<P> y, const Pack& pack) {
    const int pairs = w.columns / 2;
    const auto row = static_cast<std::size_t>(pairs), to_width = static_cast<std::size_t>(y.width);
    if (w.panels && rows <= FewRows<Set>::most)
      FewRows<Set, Step>::run(ctx.threads(), w, {numbers, row, y.data, to_width, rows}, finish);
    else
      Gemm<float, Set, Step>::run(ctx.threads(), rows, w.rows, pairs, {numbers, row, 1}, {y.data, to_width, false},
                                  pack, finish, 1);
  }
  /// Calls f(panel, to) for the panels of rows n0 .. n0 + nn, each of kn pairs.
  template <class W, class F>
  static void each_panel(const W& w, int kn, int n0, int nn, float* to, const F& f) {
    for (int n = n0; n < n0 + nn; n += panel_rows, to += kn * panel_rows)
      f(w.data + static_cast<std::size_t>(n) * w.row_bytes(), to);
  }

  /// The same of pairs of numbers rounded to bfloat16. False where there is no instruction for it, or an odd width.
  template <class W>
  static bool multiply_pairs([[maybe_unused]] Context<P>& ctx, [[maybe_unused]] In<P> x, [[maybe_unused]] const W& w,
                             [[maybe_unused]] const typename G::Finish& finish, [[maybe_unused]] Out<P> y) {
#ifdef __AVX512BF16__
    if constexpr (std::same_as<R, float> && Set == Isa::avx512_bf16) {
      if (w.columns % 2 != 0 || w.columns == 0) return false;
      using Step = PairProducts<Set>;
      const float* numbers = paired<Set>(ctx.threads(), x.data, static_cast<std::size_t>(x.width), x.rows, x.width);
      multiply_steps<Step>(
          ctx, numbers, x.rows, w, {finish.scales, finish.bias}, y, [&](int k0, int kn, int n0, int nn, float* panels) {
            if (!w.panels)
              Gemm<float, Set, Step>::pack_columns(PairedRows{w.data, w.row_bytes()}, k0, kn, n0, nn, panels);
            else
              each_panel(w, kn, n0, nn, panels,
                         [&](const std::byte* panel, float* to) { pair_panel<Set>(panel, k0, kn, to); });
          });
      return true;
    }
#endif
    return false;
  }

  /// The same of int8 in panels, the rows rounded to whole numbers of 16 bits.
  template <class W>
  static bool multiply_integers([[maybe_unused]] Context<P>& ctx, [[maybe_unused]] In<P> x, [[maybe_unused]] const W& w,
                                [[maybe_unused]] const R* bias, [[maybe_unused]] Out<P> y) {
#ifdef FLAMINGO_INT8_PAIRS
    if constexpr (std::same_as<R, float> && Set == Isa::avx512_bf16) {
      using Step = IntegerPairs<Set>;
      static_assert(2.0 * Gemm<float, Set, Step>::kc * Step::most * 128 < 2147483648.0,
                    "a block's sum is a number of 32 bits");
      if (!w.panels || w.columns % 2 != 0 || w.columns == 0) return false;
      const IntegerRows whole =
          integers_of<Set>(ctx.threads(), x.data, static_cast<std::size_t>(x.width), x.rows, x.width);
      multiply_steps<Step>(ctx, whole.pairs, x.rows, w, {}, y, [&](int k0, int kn, int n0, int nn, float* panels) {
        each_panel(w, kn, n0, nn, panels,
                   [&](const std::byte* panel, float* to) { pair_integers<Set>(panel, k0, kn, to); });
      });
      over_rows(ctx.threads(), x.rows, y.width, [&](int first, int last) {
        for (int n = first; n < last; ++n)
          for (int o = 0; o < y.width; ++o)
            y.row(n)[o] = y.row(n)[o] * (whole.steps[n] * w.scales[o]) + (bias ? bias[o] : 0.0f);
      });
      return true;
    }
#endif
    return false;
  }

  /// dx = dy w of pairs: a row of w with the next. False where there is no instruction for it, an odd number of rows,
  /// or panels, which have rows side by side.
  template <class W>
  static bool multiply_row_pairs([[maybe_unused]] Context<P>& ctx, [[maybe_unused]] const W& w,
                                 [[maybe_unused]] In<P> dy, [[maybe_unused]] Out<P> dx) {
#ifdef __AVX512BF16__
    if constexpr (std::same_as<R, float> && Set == Isa::avx512_bf16) {
      using Pairs = Gemm<float, Set, PairProducts<Set>>;
      if (w.panels || w.rows % 2 != 0 || w.rows == 0) return false;
      const int pairs = w.rows / 2;
      const float* numbers = paired<Set>(ctx.threads(), dy.data, static_cast<std::size_t>(dy.width), dy.rows, dy.width);
      const PairedRows rows{w.data, w.row_bytes()};
      Pairs::run(
          ctx.threads(), dy.rows, w.columns, pairs, {numbers, static_cast<std::size_t>(pairs), 1},
          {dx.data, static_cast<std::size_t>(dx.width), false},
          [&](int k0, int kn, int n0, int nn, float* panels) { rows.template pack_rows<Set>(k0, kn, n0, nn, panels); });
      return true;
    }
#endif
    return false;
  }
};

}  // namespace flamingo::kernels
