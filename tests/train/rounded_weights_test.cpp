#include <flamingo/train/rounded_weights.hpp>

#include <catch2/catch.hpp>

#include <flamingo/kernels/cpu/arrange.hpp>
#include <flamingo/kernels/cpu/context.hpp>

using namespace flamingo;

namespace {

/// A matrix between two vectors.
struct Small {
  template <class S>
  struct Parameters {
    Vector<S, 3> before;
    Matrix<S, 5, 7> matrix;
    Vector<S, 20> after;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(vector_spec("before", 3, Init::one()), p.before...);
    visit(matrix_spec("matrix", 5, 7, Init::normal(1)), p.matrix...);
    visit(vector_spec("after", 20, Init::constant(0.1f)), p.after...);
  }
};

}  // namespace

TEST_CASE("matrices are rounded, vectors are the masters' own", "[train]") {
  using P = Cpu<bfloat16>;
  Context<P> ctx;
  Store<Small, P, float> masters(1);
  RoundedWeights<Small, P> read;
  for (const float factor : {1.f, 1.001f}) {  // as an update changes them
    for (float& x : masters.flat) x *= factor;
    read.round(ctx, masters);
    for (std::size_t i = 0; i < 35; ++i)
      CHECK(float(read.views.matrix.data[i]) == float(bfloat16(masters.views.matrix.data[i])));
    CHECK(read.views.before.data == masters.views.before.data);
    CHECK(read.views.after.data == masters.views.after.data);
  }
}

TEST_CASE("masters in the platform's own numbers are read where they lie, wherever they went", "[train]") {
  using P = Cpu<float>;
  Context<P> ctx;
  Store<Small, P> masters(1);
  RoundedWeights<Small, P> read;
  read.round(ctx, masters);
  CHECK(read.views.matrix.data == masters.views.matrix.data);
  masters = Store<Small, P>(2);
  read.round(ctx, masters);
  CHECK(read.views.matrix.data == masters.views.matrix.data);
}
