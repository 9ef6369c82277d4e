/// A context's dense products against plain loops in double: by the emulator, and by cuBLASLt on a GPU.
#include <flamingo/kernels/cuda/context.cuh>

#include <catch2/catch.hpp>

#include <checking.hpp>

namespace products_test {

using namespace flamingo;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::same_bits;
using emulator::Sum;
using emulator::worst_error;

namespace {

struct Sizes {
  int N, D, O;
};

/// A product and its derivatives, on a context's stream.
template <class R>
struct DenseProducts {
  using T = typename std::remove_pointer_t<decltype(bare(std::declval<R*>()))>;
  using A = raw::Accumulate<T>;
  int N, D, O;
  std::vector<T> x, w, dy;
  std::vector<A> dw;  // what lies there before
  std::vector<T> y, dx;
  std::vector<A> new_dw;

  DenseProducts(int rows, int in, int out)
      : N(rows),
        D(in),
        O(out),
        x(random_values<T>(size(N, D), 1)),
        w(random_values<T>(size(O, D), 2)),
        dy(random_values<T>(size(N, O), 3)),
        dw(random_values<A>(size(O, D), 4)) {}
  static std::size_t size(int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); }

  void run(Context<Cuda<R>>& ctx) {
    DeviceBuffer<T> x_(x), w_(w), dy_(dy), y_(size(N, O)), dx_(size(N, D));
    DeviceBuffer<A> dw_(dw);
    ctx.products().forward(x_.data(), w_.data(), y_.data(), N, D, O, ctx.stream(), "linear");
    ctx.products().backward_input(dy_.data(), w_.data(), dx_.data(), N, D, O, ctx.stream(), "linear");
    ctx.products().backward_weight(dy_.data(), x_.data(), dw_.data(), N, D, O, ctx.stream(), "linear");
    ctx.wait();
    y = y_.host();
    dx = dx_.host();
    new_dw = dw_.host();
    CHECK((x_.intact() && w_.intact() && dy_.intact() && y_.intact() && dx_.intact() && dw_.intact()));
  }

  /// The largest of the three results' errors, in units of what rounding allows.
  double error(double roundings_of_a_term = 1) const {
    const auto n = static_cast<std::size_t>(N), in = static_cast<std::size_t>(D), out = static_cast<std::size_t>(O);
    const auto at = [](const std::vector<T>& v, std::size_t i) { return static_cast<double>(raw::widen(v[i])); };
    std::vector<Sum> sum_y(n * out), sum_dx(n * in), sum_dw(out * in);
    for (std::size_t i = 0; i < out * in; ++i) sum_dw[i].add(static_cast<double>(dw[i]));
    for (std::size_t row = 0; row < n; ++row)
      for (std::size_t o = 0; o < out; ++o)
        for (std::size_t i = 0; i < in; ++i) {
          sum_y[row * out + o].add(at(x, row * in + i) * at(w, o * in + i));
          sum_dx[row * in + i].add(at(dy, row * out + o) * at(w, o * in + i));
          sum_dw[o * in + i].add(at(dy, row * out + o) * at(x, row * in + i));
        }
    return std::max({worst_error<T>(y, sum_y, D + 1 + roundings_of_a_term),
                     worst_error<T>(dx, sum_dx, O + 1 + roundings_of_a_term),
                     worst_error<T>(new_dw, sum_dw, N + 1 + roundings_of_a_term)});
  }
};

}  // namespace

TEMPLATE_TEST_CASE("a context's product is added onto other rows, rounded once", "[cuda]", float, double, bfloat16) {
  Context<Cuda<TestType>> ctx(4096);
  for (const auto& [N, D, O] : {Sizes{37, 53, 71}, Sizes{67, 64, 136}}) {
    const DenseProducts<TestType> p(N, D, O);
    using T = typename DenseProducts<TestType>::T;
    DeviceBuffer<T> x(p.x), w(p.w), base(p.dy), y(p.dy.size());
    const auto at = [](const std::vector<T>& v, int i) {
      return static_cast<double>(raw::widen(v[static_cast<std::size_t>(i)]));
    };
    std::vector<Sum> want(p.dy.size());
    for (int n = 0; n < N; ++n)
      for (int o = 0; o < O; ++o) {
        Sum& sum = want[static_cast<std::size_t>(n * O + o)];
        sum.add(at(p.dy, n * O + o));
        for (int k = 0; k < D; ++k) sum.add(at(p.x, n * D + k) * at(p.w, o * D + k));
      }
    ctx.products().forward_onto(x.data(), w.data(), base.data(), y.data(), N, D, O, ctx.stream(), "linear");
    ctx.wait();
    CHECK(worst_error<T>(y.host(), want, D + 2) <= 1);
    CHECK(same_bits(base.host(), p.dy));
    ctx.products().forward_onto(x.data(), w.data(), base.data(), base.data(), N, D, O, ctx.stream(), "linear");
    ctx.wait();
    CHECK(same_bits(base.host(), y.host()));
    CHECK((y.intact() && base.intact()));
  }
}

TEMPLATE_TEST_CASE("a context's products agree with the formulas, and are planned once", "[cuda]", float, double,
                   bfloat16) {
  Context<Cuda<TestType>> ctx(4096);
  std::vector<DenseProducts<TestType>> all;
  all.emplace_back(37, 53, 71);  // nothing divides a tile, nothing is aligned
  all.emplace_back(67, 64, 136);
  all.emplace_back(8, 48, 24);  // few rows
  all.emplace_back(1, 17, 3);
  for (auto& one : all) {
    CAPTURE(one.N, one.D, one.O);
    one.run(ctx);
    CHECK(one.error() <= 1);
  }
  const std::size_t planned = ctx.products().planned();
  for (auto& one : all) {
    const auto y = one.y, dx = one.dx;
    const auto dw = one.new_dw;
    one.run(ctx);
    CHECK((same_bits(one.y, y) && same_bits(one.dx, dx) && same_bits(one.new_dw, dw)));
  }
  CHECK(ctx.products().planned() == planned);
#if defined(__CUDACC__)
  CHECK(planned == 10);  // of twelve two are of few rows
#endif
}

TEST_CASE("products of nothing write zeros or nothing", "[cuda]") {
  Context<Cuda<float>> ctx(4096);
  DenseProducts<float> no_depth(12, 0, 5), no_rows(0, 7, 5);
  no_depth.run(ctx);
  CHECK(no_depth.y == std::vector<float>(60, 0.0f));
  no_rows.run(ctx);
  CHECK(no_rows.new_dw == no_rows.dw);
}

TEST_CASE("TF32 is a choice: float is multiplied in full unless it is made", "[cuda]") {
  Context<Cuda<float>> ctx(4096);
  DenseProducts<float> product(128, 256, 128);
  product.run(ctx);
  CHECK(product.error() <= 1);
  const auto full = product.y;
  ctx.products().tf32 = true;
  product.run(ctx);
  CHECK(product.error(2 * 0x1p-11 / emulator::epsilon_of<float>) <= 1);
#if defined(__CUDACC__)
  CHECK_FALSE(same_bits(product.y, full));
#endif
  ctx.products().tf32 = false;
  product.run(ctx);
  CHECK(same_bits(product.y, full));
}

TEST_CASE("a context that moved keeps its products", "[cuda]") {
  Context<Cuda<float>> first(4096);
  DenseProducts<float> product(19, 32, 16);
  product.run(first);
  const std::size_t planned = first.products().planned();
  Context<Cuda<float>> second = std::move(first);
  const auto y = product.y;
  product.run(second);
  CHECK(same_bits(product.y, y));
  CHECK(second.products().planned() == planned);
}

}  // namespace products_test
