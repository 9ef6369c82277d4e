#include <flamingo/kernels/cpu/few_rows.hpp>

#include <catch2/catch.hpp>
#include <vector>

#include "support/packing.hpp"

namespace few_rows_test {

using namespace flamingo;
using namespace flamingo::test;

using P = Cpu<float>;
using Kernel = kernels::FewRows<native_isa>;

TEST_CASE("a few rows have the bits that Gemm's tiles give them, in every format", "[few_rows]") {
  constexpr int in = 608, out = 70;  // two blocks of k and a part of one; two panels and six rows
  constexpr int stride = in + 3, to_stride = out + 5;
  using G = kernels::Gemm<float, native_isa>;
  Threads threads(2);
  const auto x = Tensor<float>::random(Kernel::most, stride, 1), bias = Tensor<float>::random(1, out, 2);
  for (const auto& [format, name] : all_formats) {
    INFO(name);
    const PackedTensor packed(format, out, in, 3);
    auto w = packed.on<P>();
    std::vector<std::byte> panels(panel_bytes(out, w.row_bytes()));
    interleave(w, panels.data());
    w.data = panels.data();
    w.panels = true;
    for (const bool finished : {false, true}) {
      const auto* scales = std::exchange(w.scales, nullptr);
      const G::Finish finish = finished ? G::Finish{scales, bias.data()} : G::Finish{};
      for (int rows = 1; rows <= Kernel::most; ++rows) {
        INFO(rows << " rows");
        Tensor<float> y(rows, to_stride, 7.f), expected(rows, to_stride, 7.f);
        Kernel::run(threads, w, {x.data(), stride, y.data(), to_stride, rows}, finish);
        G::run(
            threads, rows, out, in, {x.data(), stride, 1}, {expected.data(), to_stride, false},
            [&](int k0, int kn, int n0, int nn, float* to) { kernels::pack_panels<G::nr>(w, k0, kn, n0, nn, to); },
            finish);
        CHECK(y == expected);
        CHECK(y.intact());
      }
      w.scales = scales;
    }
  }
}

}  // namespace few_rows_test
