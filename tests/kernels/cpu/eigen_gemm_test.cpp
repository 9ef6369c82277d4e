#include <flamingo/kernels/cpu/eigen_gemm.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <type_traits>
#include <vector>

#include <flamingo/kernels/cpu/linear.hpp>

#include "support/packing.hpp"
#include "support/tensor.hpp"
#include "support/tolerance.hpp"

namespace eigen_gemm_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

template <class R>
using Eigens = Cpu<R, native_isa, Products::eigen>;

}  // namespace

TEST_CASE("a platform's products are its own", "[eigen_gemm]") {
  static_assert(
      std::is_same_v<kernels::GemmOf<Cpu<float, native_isa, Products::own>>, kernels::Gemm<float, native_isa>>);
  static_assert(std::is_same_v<kernels::GemmOf<Eigens<float>>, kernels::EigenGemm<float, native_isa>>);
}

// What Eigen does not promise and eigen_gemm.hpp relies on: where Eigen divides the work never changes a row.
TEMPLATE_TEST_CASE("Eigen gives a row the same bits alone and among others", "[eigen_gemm]", float, double) {
  using P = Eigens<TestType>;
  constexpr int N = 77;
  Context<P> ctx(2, 1 << 20);
  for (const int K : {1, 7, 40, 64, 100, 113, 128, 200, 256, 257, 544})
    for (const int O : {1, 24, 67, 200}) {
      INFO(K << " numbers, " << O << " columns");
      const auto x = Tensor<TestType>::random(N, K, 1);
      auto w = Tensor<TestType>::random(O, K, 2);
      const auto product = [&](const Tensor<TestType>& rows) {
        Tensor<TestType> y(rows.rows(), O);
        ops::linear(ctx, rows.template rows_on<P>(), w.template matrix_on<P>(), y.template rows_on<P>());
        return y;
      };
      const auto all = product(x);
      bool same = true;
      for (const int count : {1, 2, 3, 4, 5, 6, 7, 9, 31, 33})
        for (const int first : {0, 5, N - count})
          same &= product(rows_of(x, first, count)) == rows_of(all, first, count);
      CHECK(same);
      double worst = 0;
      for (int n = 0; n < N; ++n)
        for (int o = 0; o < O; ++o) {
          double sum = 0, magnitude = 0;
          for (int k = 0; k < K; ++k) {
            const double term = static_cast<double>(x(n, k)) * static_cast<double>(w(o, k));
            sum += term;
            magnitude += std::abs(term);
          }
          const double error = std::abs(static_cast<double>(all(n, o)) - sum);
          worst = std::max(worst, error / sum_bound<TestType>(static_cast<std::size_t>(K), magnitude));
        }
      CHECK(worst <= 1);
    }
}

TEST_CASE("Eigen multiplies weights that lie in panels, any columns of them", "[eigen_gemm]") {
  using P = Eigens<float>;
  const auto x = Tensor<float>::random(5, 96, 1);
  for (const int threads : {1, 2, 3}) {
    Context<P> ctx(threads, 1 << 20);
    for (const auto& [format, name] : all_formats) {
      INFO(name << ", " << threads << " threads");
      const PackedTensor packed(format, 141, 96, 5);
      Tensor<float> y(5, 141), expected(5, 141);
      const auto in_rows = packed.on<P>();
      std::vector<std::byte> bytes(panel_bytes(in_rows.rows, in_rows.row_bytes()));
      interleave(in_rows, bytes.data());
      auto in_panels = in_rows;
      in_panels.panels = true;
      in_panels.data = bytes.data();
      ops::linear(ctx, x.rows_on<P>(), in_rows, expected.rows_on<P>());
      ops::linear(ctx, x.rows_on<P>(), in_panels, y.rows_on<P>());
      CHECK(y == expected);
    }
  }
}

}  // namespace eigen_gemm_test
