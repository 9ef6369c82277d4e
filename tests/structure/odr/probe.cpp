// Everything, in a translation unit that is compiled once for each instruction set.
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include <everything.hpp>

#include "probe.hpp"

namespace {

using namespace flamingo;

template <class R>
std::uint64_t digest(const std::vector<R>& numbers, std::uint64_t seed) {
  for (const R number : numbers) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &number, sizeof(R));
    seed = (seed ^ bits) * 0x100000001b3u;
  }
  return seed;
}

/// The bits of a dense product and its gradients in sizes that fill no tile.
template <class R>
std::uint64_t products() {
  using P = Cpu<R>;
  constexpr int rows = 37, out = 53, in = 311;
  std::mt19937_64 random(7);
  const auto numbers = [&random](int n) {
    std::vector<R> all(static_cast<std::size_t>(n));
    for (R& one : all) one = static_cast<R>(static_cast<double>(random() >> 11) * 0x1p-53 - 0.5);
    return all;
  };
  std::vector<R> x = numbers(rows * in), w = numbers(out * in), b = numbers(out), dy = numbers(rows * out);
  std::vector<R> y(dy.size()), dx(x.size()), dw(w.size()), db(b.size());

  Context<P> ctx(2, std::size_t{1} << 26);
  const Rows<P, in> x_rows{x.data(), rows, {}}, dx_rows{dx.data(), rows, {}};
  const Rows<P, out> y_rows{y.data(), rows, {}}, dy_rows{dy.data(), rows, {}};
  const MatrixView<P, out, in> weights{w.data(), {}, {}}, dweights{dw.data(), {}, {}};
  const VectorView<P, out> bias{b.data(), {}}, dbias{db.data(), {}};
  ops::linear(ctx, x_rows, weights, bias, y_rows);
  ops::linear_backward(ctx, x_rows, weights, dy_rows, dx_rows, dweights, dbias);
  return digest(db, digest(dw, digest(dx, digest(y, 0xcbf29ce484222325u))));
}

}  // namespace

Digests PROBE() { return {products<float>(), products<double>()}; }
