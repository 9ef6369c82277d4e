/// Standardised weights in bf16 with float gradients; float and double are held against the CPU's in
/// kernels/cuda/vision_operations_test.cpp.
#include <flamingo/kernels/cuda/raw/standardise.cuh>

#include <catch2/catch.hpp>

#include <checking.hpp>

namespace standardise_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::started;
using emulator::Sum;
using emulator::worst_error;
using B = __nv_bfloat16;

TEST_CASE("bf16 weights are standardised in float", "[raw][standardise]") {
  for (const bool floor : {true, false})
    for (const int N : {1, 40, 37, 264}) {
      const int O = 6;
      const auto o = static_cast<std::size_t>(O), size = o * static_cast<std::size_t>(N);
      const auto n = static_cast<std::size_t>(N);
      const auto w = random_values<B>(size, 1);
      const auto gain = random_values<float>(o, 2), dy = random_values<float>(size, 3),
                 dw = random_values<float>(size, 4), dgain = random_values<float>(o, 5);
      const StandardiseRule<float> rule{floor, floor ? 36.0f : 0.25f, 1.5f};  // 36 holds some of the filters of 40
      DeviceBuffer<B> w_(w), y_(size);
      DeviceBuffer<float> gain_(gain), dy_(dy), dw_(dw), dgain_(dgain);
      started(standardise(w_.data(), gain_.data(), y_.data(), O, N, rule, nullptr));
      started(
          standardise_backward(w_.data(), gain_.data(), dy_.data(), dw_.data(), dgain_.data(), O, N, rule, nullptr));
      std::vector<Sum> y(size), want_dw(size), want_dgain(o);
      for (std::size_t row = 0; row < o; ++row) {
        const auto value = [&](std::size_t c) { return static_cast<double>(widen(w[row * n + c])); };
        const auto g = [&](std::size_t c) { return static_cast<double>(dy[row * n + c]); };
        const double g_row = static_cast<double>(gain[row]);
        Sum mean, squares, mean_g, along;
        for (std::size_t c = 0; c < n; ++c) mean.add(value(c) / N);
        for (std::size_t c = 0; c < n; ++c) squares.add((value(c) - mean.value) * (value(c) - mean.value));
        const bool held = floor && squares.value < 36;
        const double r = 1 / std::sqrt(held ? 36 : floor ? squares.value : squares.value + N * 0.25);
        const auto unit = [&](std::size_t c) { return r * (value(c) - mean.value); };
        const auto unit_terms = [&](std::size_t c) { return r * (std::abs(value(c)) + mean.terms); };
        for (std::size_t c = 0; c < n; ++c) {
          mean_g.add(g(c) / N);
          along += {g(c) * unit(c), std::abs(g(c)) * unit_terms(c)};
        }
        want_dgain[row] = {static_cast<double>(dgain[row]) + 1.5 * along.value,
                           std::abs(static_cast<double>(dgain[row])) + 1.5 * along.terms};
        for (std::size_t c = 0; c < n; ++c) {
          const double scale = 1.5 * g_row * r, lost = held ? 0 : along.value;
          y[row * n + c] = {1.5 * g_row * unit(c), 1.5 * std::abs(g_row) * unit_terms(c)};
          want_dw[row * n + c] = {static_cast<double>(dw[row * n + c]) + scale * (g(c) - mean_g.value - lost * unit(c)),
                                  std::abs(static_cast<double>(dw[row * n + c])) +
                                      std::abs(scale) * (std::abs(g(c)) + mean_g.terms + along.terms * unit_terms(c))};
        }
      }
      CAPTURE(floor, N);
      CHECK(worst_error<B>(y_.host(), y, 24) <= 1);
      CHECK(worst_error<B>(dw_.host(), want_dw, 32) <= 1);
      CHECK(worst_error<B>(dgain_.host(), want_dgain, 32) <= 1);
      CHECK((y_.intact() && dw_.intact() && dgain_.intact()));
    }
}

}  // namespace standardise_test
