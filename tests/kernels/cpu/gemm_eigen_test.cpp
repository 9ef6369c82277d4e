#include <flamingo/kernels/cpu/gemm_eigen.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <type_traits>

#include "support/tensor.hpp"
#include "support/tolerance.hpp"

namespace gemm_eigen_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("a platform's products are its own", "[gemm_eigen]") {
  using kernels::GemmOf;
  static_assert(std::is_same_v<GemmOf<Cpu<float, Isa::avx2, Products::own>>, kernels::Gemm<float, Isa::avx2>>);
  static_assert(std::is_same_v<GemmOf<Cpu<float, Isa::avx2, Products::eigen>>, kernels::EigenGemm<float, Isa::avx2>>);
}

// What Eigen does not promise and gemm_eigen.hpp relies on: where Eigen divides the work never changes a row.
TEMPLATE_TEST_CASE("Eigen gives a row the same bits alone and among others", "[gemm_eigen]", float, double) {
  using R = TestType;
  using G = kernels::EigenGemm<R, native_isa>;
  constexpr int M = 77;
  Threads threads(2);
  const auto width = [](const Tensor<R>& x) { return static_cast<std::size_t>(x.columns()); };
  for (const int K : {1, 7, 64, 100, 113, 128, 256, 257, 544})
    for (const int N : {1, 24, 67, 200}) {
      INFO(K << " numbers, " << N << " columns");
      const auto a = Tensor<R>::random(M, K, 1), b = Tensor<R>::random(N, K, 2);
      const kernels::PlainSource<R, R> rows{b.data(), width(b)};
      const auto pack = [&](int k0, int kn, int n0, int nn, R* panels) {
        G::pack_columns(rows, k0, kn, n0, nn, panels);
      };
      Tensor<R> all(M, N);
      G::run_here(M, N, K, {a.data(), width(a), 1}, {all.data(), width(all), false}, pack);
      bool same = true;
      for (const int count : {1, 2, 3, 4, 5, 6, 7, 9, 33})
        for (const int first : {0, 5, M - count}) {
          const auto part = rows_of(a, first, count);
          Tensor<R> packed(count, N), in_place(count, N);
          G::run_here(count, N, K, {part.data(), width(part), 1}, {packed.data(), width(packed), false}, pack);
          G::template run_source<true>(threads, count, N, K, {part.data(), width(part), 1},
                                       {in_place.data(), width(in_place), false}, kernels::AnySource<R>(rows), pack);
          same &= packed == rows_of(all, first, count) && in_place == packed;
        }
      CHECK(same);
      double worst = 0;
      for (int m = 0; m < M; ++m)
        for (int n = 0; n < N; ++n) {
          double sum = 0, magnitude = 0;
          for (int k = 0; k < K; ++k) {
            const double term = static_cast<double>(a(m, k)) * static_cast<double>(b(n, k));
            sum += term;
            magnitude += std::abs(term);
          }
          const double error = std::abs(static_cast<double>(all(m, n)) - sum);
          worst = std::max(worst, error / sum_bound<R>(static_cast<std::size_t>(K), magnitude));
        }
      CHECK(worst <= 1);
    }
}

}  // namespace gemm_eigen_test
