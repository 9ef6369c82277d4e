#include <flamingo/kernels/dry/linear.hpp>

#include <catch2/catch.hpp>

#include <flamingo/kernels/dry/arrange.hpp>
#include <flamingo/kernels/dry/cross_entropy.hpp>
#include <flamingo/kernels/dry/residual.hpp>

namespace linear_test {

using namespace flamingo;
using P = Dry<Cpu<float>>;

TEST_CASE("dry linear counts its products, forward and backward, whatever the format", "[linear]") {
  Context<P> ctx;
  const auto x = scratch<7>(ctx, 5);
  const auto y = scratch<11>(ctx, 5);
  const MatrixView<P, 11, 7> w{};
  const PackedMatrix<P, 11, 7> packed{};
  const VectorView<P, 11> b{};
  constexpr double product = 2 * 5 * 7 * 11;
  ops::linear(ctx, x, w, b, y);
  CHECK(ctx.operations() == product);
  ops::linear(ctx, x, packed, y);
  CHECK(ctx.operations() == 2 * product);
  ops::linear_backward(ctx, x, w, y, x, w, b);
  CHECK(ctx.operations() == 4 * product);
  ops::linear_backward(ctx, NoGrad{}, packed, y, x, NoGrad{});
  CHECK(ctx.operations() == 5 * product);
}

TEST_CASE("dry linear on Cuda takes a copy of packed weights that many rows read", "[linear]") {
  using Q = Dry<Cuda<float>>;
  const auto taken = [](int rows, Format format, bool backward) {
    Context<Q> ctx;
    const PackedMatrix<Q, 11, 32> w{.format = format};
    const Rows<Q> x{nullptr, rows, Extent<dynamic>(32)}, y{nullptr, rows, Extent<dynamic>(11)};
    if (backward)
      ops::linear_backward(ctx, NoGrad{}, w, y, x, NoGrad{});
    else
      ops::linear(ctx, x, w, y);
    CHECK(ctx.arena().scratched() == 0);
    return ctx.arena().peak();
  };
  constexpr std::size_t copy = 11 * 32 * sizeof(float);
  CHECK(taken(32, Format::int8, false) == 0);
  CHECK(taken(33, Format::int8, false) == copy);
  CHECK(taken(33, Format::bf16, false) == copy);
  CHECK(taken(33, Format::f32, false) == 0);
  CHECK(taken(1, Format::q4_0, true) == copy);
  CHECK(taken(1, Format::f32, true) == 0);
}

TEST_CASE("dry cross-entropy takes one chunk of logits at a time", "[cross_entropy]") {
  Context<P> ctx;
  const auto x = keep<16>(ctx, 5), dx = keep<16>(ctx, 5);
  const MatrixView<P, 61, 16> table{};
  const MatrixView<P, 3, 16> added{};
  const View<P, 1, const int> targets{nullptr, {5}};
  const View<P, 1, float> numbers{nullptr, {5}};
  ctx.arena().forget_peak();
  const std::size_t before = ctx.arena().peak();
  ops::cross_entropy(ctx, x, table, added, targets, 16, numbers, numbers);
  CHECK(ctx.operations() == 2 * 5 * 16 * (61 + 3));
  CHECK(ctx.arena().peak() == before + 5 * 16 * sizeof(float) + 2 * Arena::alignment);
  ctx.forget_operations();
  ops::cross_entropy_backward(ctx, x, table, added, targets, 16, numbers, numbers, dx, table, added);
  CHECK(ctx.operations() == 3 * 2 * 5 * 16 * (61 + 3));
}

}  // namespace linear_test
