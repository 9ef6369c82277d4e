#include <flamingo/kernels/cpu/panels.hpp>

#include <array>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/kernels/cpu/embedding.hpp>
#include <flamingo/kernels/cpu/linear.hpp>

#include "support/packing.hpp"
#include "support/platforms.hpp"

namespace panels_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("products with panels have the bits of products with rows", "[panels]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  constexpr int in = 544, out = 67;  // two blocks of k and a rest; two panels and three rows
  Context<P> ctx(2, 1 << 20);
  for (const auto& [format, name] : all_formats) {
    INFO(name);
    const PackedTensor packed(format, out, in, 5);
    const auto rows = packed.on<P>();
    const Panels<P> panels(rows);
    for (const int N : {1, 2, 3, 4, 7, 8, 13}) {
      INFO(N << " rows");
      const auto x = Tensor<R>::random(N, in, 1), dy = Tensor<R>::random(N, out, 2);
      std::array results{Tensor<R>(N, out), Tensor<R>(N, out), Tensor<R>(N, in), Tensor<R>(N, in)};
      auto& [y, expected, dx, dexpected] = results;
      ops::linear(ctx, x.template rows_on<P>(), panels.view, y.template rows_on<P>());
      ops::linear(ctx, x.template rows_on<P>(), rows, expected.template rows_on<P>());
      CHECK(y == expected);
      ops::linear_backward(ctx, NoGrad{}, panels.view, dy.template rows_on<P>(), dx.template rows_on<P>(), NoGrad{});
      ops::linear_backward(ctx, NoGrad{}, rows, dy.template rows_on<P>(), dexpected.template rows_on<P>(), NoGrad{});
      CHECK(dx == dexpected);
      for (const auto& result : results) CHECK(result.intact());
    }
    // Part of a vocabulary, and one of its rows.
    const auto x = Tensor<R>::random(1, in, 3);
    Tensor<R> part(1, 35), expected(1, 35);
    ops::linear(ctx, x.template rows_on<P>(), slice(panels.view, 32, 35), part.template rows_on<P>());
    ops::linear(ctx, x.template rows_on<P>(), slice(rows, 32, 35), expected.template rows_on<P>());
    CHECK(part == expected);
    const std::array ids{66, 0, 33};
    Tensor<R> embedded(3, in), wanted(3, in);
    ops::embed(ctx, View<P, 1, const int>{ids.data(), {3}}, panels.view, embedded.template rows_on<P>());
    ops::embed(ctx, View<P, 1, const int>{ids.data(), {3}}, rows, wanted.template rows_on<P>());
    CHECK(embedded == wanted);
  }
}

TEST_CASE("halves are widened to the bits that a conversion gives", "[panels]") {
  constexpr int n = kernels::vector_lanes<float, native_isa>;
  using N = kernels::Neighbours<native_isa, n>;
  int wrong = 0;
  for (int first = 0; first < 65536; first += n) {
    std::array<half, n> halves;
    for (int i = 0; i < n; ++i) halves[static_cast<std::size_t>(i)].bits = static_cast<std::uint16_t>(first + i);
    std::array<float, n> floats;
    N::store(floats.data(), N::halves(reinterpret_cast<const std::byte*>(halves.data())));
    for (std::size_t i = 0; i < n; ++i)
      wrong +=
          std::isnan(static_cast<float>(halves[i]))
              ? !std::isnan(floats[i])
              : std::bit_cast<std::uint32_t>(floats[i]) != std::bit_cast<std::uint32_t>(static_cast<float>(halves[i]));
  }
  CHECK(wrong == 0);
}

TEMPLATE_LIST_TEST_CASE("the bias of a product is added to its rounded numbers", "[panels]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  constexpr int in = 288, out = 35;
  Context<P> ctx(2, 1 << 20);
  auto bias = Tensor<R>::random(1, out, 4);
  for (const auto& [format, name] : all_formats) {
    INFO(name);
    if (format == Format::int8) continue;  // scale and bias may be one operation
    const PackedTensor packed(format, out, in, 5);
    const Panels<P> panels(packed.on<P>());
    for (const int N : {1, 3, 8, 14}) {
      const auto x = Tensor<R>::random(N, in, 1);
      Tensor<R> y(N, out), expected(N, out);
      ops::linear(ctx, x.template rows_on<P>(), panels.view, bias.template vector_on<P>(), y.template rows_on<P>());
      ops::linear(ctx, x.template rows_on<P>(), panels.view, expected.template rows_on<P>());
      for (int n = 0; n < N; ++n)
        for (int o = 0; o < out; ++o) expected(n, o) += bias(0, o);
      CHECK(y == expected);
      CHECK(y.intact());
    }
  }
}

}  // namespace panels_test
