// Linear as layers call it, compiled for each kind of kernels: flamingo::cpu says which.
#include <flamingo/kernels/cpu/linear.hpp>

#include <cstddef>
#include <memory>
#include <vector>

#include "trial.hpp"

namespace flamingo::bench {
namespace {

using P = Cpu<float>;

template <class Weight>
std::function<void()> forward(const Product& p, int threads, const Weight& w) {
  const Rows<P, dynamic, float> x{const_cast<float*>(p.x), p.M, Extent<dynamic>(p.K)},
      y{p.y, p.M, Extent<dynamic>(p.N)};
  return [=, ctx = std::make_shared<Context<P>>(threads)] { ops::linear(*ctx, x, w, y); };
}
std::function<void()> in_rows(const Product& p, int threads) {
  return forward(p, threads,
                 MatrixView<P, dynamic, dynamic>{const_cast<float*>(p.w), Extent<dynamic>(p.N), Extent<dynamic>(p.K)});
}

}  // namespace

#ifdef FLAMINGO_CPU_KERNELS

std::function<void()> eigen_kernels(const Product& p, int threads) { return in_rows(p, threads); }

#else

std::function<void()> own_rows(const Product& p, int threads) { return in_rows(p, threads); }

std::function<void()> own_panels(const Product& p, int threads) {
  using Matrix = PackedMatrix<P, dynamic, dynamic>;
  const Matrix rows{reinterpret_cast<const std::byte*>(p.w), nullptr, Format::f32, Extent<dynamic>(p.N),
                    Extent<dynamic>(p.K)};
  const auto bytes = std::make_shared<std::vector<std::byte>>(panel_bytes(p.N, rows.row_bytes()));
  interleave(rows, bytes->data());
  return [bytes, call = forward(p, threads,
                                Matrix{bytes->data(), nullptr, Format::f32, Extent<dynamic>(p.N), Extent<dynamic>(p.K),
                                       true})] { call(); };
}

#endif

}  // namespace flamingo::bench
