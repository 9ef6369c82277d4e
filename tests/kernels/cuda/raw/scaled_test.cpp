/// Factors in bf16; float and double are held against the CPU's in kernels/cuda/vision_operations_test.cpp.
#include <flamingo/kernels/cuda/raw/scaled.cuh>

#include <catch2/catch.hpp>

#include <checking.hpp>

namespace scaled_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::started;
using emulator::Sum;
using emulator::worst_error;
using B = __nv_bfloat16;

TEST_CASE("bf16 numbers are scaled in float and rounded once", "[raw][scaled]") {
  for (const std::size_t size : {std::size_t{40}, std::size_t{33}}) {
    const auto x = random_values<B>(size, 1), dy = random_values<B>(size, 2), before = random_values<B>(size, 3);
    const std::vector<float> exponent{0.5f}, dexponent{2};
    DeviceBuffer<B> x_(x), dy_(dy), y(size), dx(size), scaled(size), added(before), less(size);
    DeviceBuffer<float> exponent_(exponent), dexponent_(dexponent), workspace(1);
    started(scaled_activate<Silu>(x_.data(), y.data(), 1.5f, size, nullptr));
    started(scaled_activate_backward<Silu>(x_.data(), dy_.data(), dx.data(), 1.5f, size, nullptr));
    started(exp_scale(x_.data(), exponent_.data(), scaled.data(), size, nullptr));
    started(exp_scale_backward(dy_.data(), exponent_.data(), added.data(), size, nullptr));
    started(exp_scale_backward_exponent(x_.data(), dy_.data(), dexponent_.data(), workspace.data(), 1,
                                        static_cast<int>(size), nullptr));
    started(subtract(x_.data(), dy_.data(), less.data(), size, nullptr));
    std::vector<Sum> want_y(size), want_dx(size), want_scaled(size), want_added(size), want_less(size), product{{2, 2}};
    for (std::size_t i = 0; i < size; ++i) {
      const double z = static_cast<double>(widen(x[i])), g = static_cast<double>(widen(dy[i])),
                   s = 1 / (1 + std::exp(-z));
      want_y[i].add(1.5 * z * s);
      want_dx[i] = {1.5 * g * s * (1 + z * (1 - s)), 1.5 * std::abs(g) * s * (1 + std::abs(z))};
      want_scaled[i].add(std::exp(0.5) * z);
      want_added[i].add(static_cast<double>(widen(before[i])));
      want_added[i].add(std::exp(0.5) * g);
      want_less[i].add(z);
      want_less[i].add(-g);
      product[0].add(z * g);
    }
    CAPTURE(size);
    CHECK(worst_error<B>(y.host(), want_y, 8) <= 1);
    CHECK(worst_error<B>(dx.host(), want_dx, 12) <= 1);
    CHECK(worst_error<B>(scaled.host(), want_scaled, 4) <= 1);
    CHECK(worst_error<B>(added.host(), want_added, 4) <= 1);
    CHECK(worst_error<B>(less.host(), want_less, 1) <= 1);
    CHECK(worst_error<B>(dexponent_.host(), product, 40) <= 1);
    CHECK((y.intact() && dx.intact() && scaled.intact() && added.intact() && less.intact() && dexponent_.intact()));
  }
}

}  // namespace scaled_test
