/// Ops over packed weights on Cuda against plain loops in double.
#include <catch2/catch.hpp>

#include <checking.hpp>
#include <flamingo/kernels/cuda/embedding.cuh>
#include <flamingo/kernels/cuda/linear.cuh>
#include <flamingo/model/weights.hpp>

#include "kernels/cuda/on_platform.hpp"
#include "support/packing.hpp"

namespace packed_weights_test {

using namespace flamingo;
using namespace flamingo::test;
using emulator::Sum;
using emulator::worst_error;

namespace {

template <class R>
struct PackedOps : Run<Cuda<R>> {
  using P = Cuda<R>;
  using T = typename flamingo::detail::Bare<R>::Type;
  using Run<P>::ctx;

  PackedTensor drawn;
  PackedBuffer<P> bytes;
  PackedMatrix<P, dynamic, dynamic> w;

  PackedOps(Format format, int O, int D)
      : drawn(format, O, D, 31), bytes(drawn.template on<HostOf<P>>()), w{nullptr, nullptr, format, {}, {}} {
    w.rows = Extent<dynamic>(O);
    w.columns = Extent<dynamic>(D);
    bytes.point(w);
  }
  std::vector<T> numbers(const Rows<P>& x) {
    std::vector<T> host(x.size());
    download(ctx, bare(x.data), x.size(), host.data());
    return host;
  }
  static double at(const std::vector<T>& x, std::size_t i) { return static_cast<double>(raw::widen(x[i])); }

  /// Worst errors of y = x wᵀ, of dx = dy w, and of rows of w and of added ones.
  double linear(int N, bool part) {
    const int first = part ? panel_rows : 0, O = w.rows - first, D = w.columns;
    const auto u = slice(w, first, O);
    const auto x = this->rows(N, D, 1), y = this->blank(N, O), dy = this->rows(N, O, 2), dx = this->blank(N, D);
    ops::linear(ctx, x, u, y);
    ops::linear_backward(ctx, x, u, dy, dx, NoGrad{});
    const auto xs = numbers(x), dys = numbers(dy);
    std::vector<Sum> sum_y(y.size()), sum_dx(dx.size());
    const auto in = static_cast<std::size_t>(D), out = static_cast<std::size_t>(O);
    for (std::size_t n = 0; n < static_cast<std::size_t>(N); ++n)
      for (std::size_t o = 0; o < out; ++o)
        for (std::size_t i = 0; i < in; ++i) {
          const double number = drawn.numbers(first + static_cast<int>(o), static_cast<int>(i));
          sum_y[n * out + o].add(at(xs, n * in + i) * number);
          sum_dx[n * in + i].add(at(dys, n * out + o) * number);
          // Where many rows are asked for, or dx, w is rounded to R; a block's parts may be larger than its numbers.
          sum_y[n * out + o].rounded += std::abs(at(xs, n * in + i) * number);
          sum_dx[n * in + i].rounded += std::abs(at(dys, n * out + o) * number);
          if (w.format == Format::q4_1) sum_y[n * out + o].terms += 3 * std::abs(at(xs, n * in + i));
        }
    return std::max(worst_error<T>(numbers(y), sum_y, D + 2), worst_error<T>(numbers(dx), sum_dx, O + 2));
  }
  bool embeds() {
    const int V = w.rows, D = w.columns;
    const auto added = this->matrix(2, D, 4);
    const std::vector<int> ids{V - 1, 0, V + 1, 33, V};
    const auto y = this->blank(5, D);
    ops::embed(ctx, table(ctx, ids), w, added, y);
    const auto got = numbers(y), more = numbers({added.data, 2, Extent<dynamic>(D)});
    bool right = true;
    for (int n = 0; n < 5; ++n)
      for (int d = 0; d < D; ++d) {
        const int id = ids[static_cast<std::size_t>(n)];
        const double want = id < V ? drawn.numbers(id, d) : at(more, static_cast<std::size_t>((id - V) * D + d));
        right &= at(got, static_cast<std::size_t>(n * D + d)) ==
                 static_cast<double>(raw::widen(raw::narrow<T>(static_cast<raw::Accumulate<T>>(want))));
      }
    return right;
  }
};

/// A layer of one parameter of each role.
struct Roles {
  template <class S>
  struct Parameters {
    Matrix<S, 5, 32> matrix;
    Learned<S, 3, 7> learned;
    Vector<S, 11> vector;
  };
  template <class Visit, class... P>
  static constexpr void each(Visit& visit, P&... p) {
    visit(matrix_spec("matrix", 5, 32, Init::normal(1)), p.matrix...);
    visit(table_spec("learned", 3, 7, Init::normal(1)), p.learned...);
    visit(vector_spec("vector", 11, Init::normal(1)), p.vector...);
  }
};

}  // namespace

TEMPLATE_TEST_CASE("ops over packed weights agree with the formulas in each format", "[cuda]", float, double,
                   bfloat16) {
  for (const auto& [format, name] : all_formats) {
    CAPTURE(name);
    PackedOps<TestType> run(format, 75, 96);
    for (const int N : {1, 9, 40}) CHECK(run.linear(N, false) <= 1);
    CHECK(run.linear(3, true) <= 1);
    CHECK(run.embeds());
    CHECK(run.ctx.arena().scratched() == 0);
  }
}

TEST_CASE("weights of a file reach the device as the host holds them", "[cuda]") {
  using P = Cuda<bfloat16>;
  const auto path = std::filesystem::temp_directory_path() / "flamingo_packed_weights_test.safetensors";
  const Store<Roles, Cpu<float>> numbers(std::uint64_t{3});
  TensorWriter writer(io::DType::f32);
  writer.add<Roles>(numbers.views);
  writer.save(path);
  const auto file = std::make_shared<const io::Safetensors>(path);
  Context<P> ctx = small_context<P>();
  const auto bytes = []<class T>(const std::vector<T>& all) {
    std::string joined;
    emulator::append_bytes(joined, all);
    return joined;
  };
  for (const Held held : {Held::as_stored, Held::as_bf16, Held::as_int8}) {
    const auto host = PackedWeights<Roles, HostOf<P>>::load(file, held);
    for (const auto& device : {PackedWeights<Roles, P>::load(file, held), PackedWeights<Roles, P>::copy_of(host)}) {
      const auto same = [&](const auto* there, const auto* here, std::size_t count) {
        return bytes(host_copy(ctx, there, count)) == bytes(std::vector(here, here + count));
      };
      const auto& got = device.views;
      const auto& want = host.views;
      CHECK(got.matrix.format == want.matrix.format);
      CHECK(same(got.matrix.data, want.matrix.data, 5 * want.matrix.row_bytes()));
      CHECK((got.matrix.scales != nullptr) == (held == Held::as_int8));
      if (held == Held::as_int8) CHECK(same(got.matrix.scales, want.matrix.scales, 5));
      CHECK(same(got.learned.data, want.learned.data, 21));
      CHECK(same(got.vector.data, want.vector.data, 11));
    }
  }
  std::filesystem::remove(path);
}

TEST_CASE("packed weights that lie as a file has them are refused", "[cuda]") {
  PackedOps<float> run(Format::q8_0, 3, 32);
  run.w.panels = false;
  CHECK_THROWS_WITH(run.linear(2, false), Catch::Contains("upload them"));
}

}  // namespace packed_weights_test
