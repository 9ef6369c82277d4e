/// Excitation in bf16 and under shuffled schedules; float and double are held against the CPU's in
/// kernels/cuda/vision_operations_test.cpp.
#include <flamingo/kernels/cuda/raw/excitation.cuh>

#include <catch2/catch.hpp>

#include <checking.hpp>

#include "pictures.hpp"

namespace excitation_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::started;
using emulator::Sum;
using emulator::worst_error;
using B = __nv_bfloat16;

TEST_CASE("gains of bf16 pictures and back", "[raw][excitation]") {
  const TestPictures pictures({{5, 7}, {3, 3}}, {1, 1, 1}, 0, 0);
  for (const int D : {8, 35}) {
    const auto d = static_cast<std::size_t>(D), cells = std::size_t{44};
    const auto z = random_values<B>(2 * d, 1), df = random_values<B>(2 * d, 2), x = random_values<B>(cells * d, 3),
               h = random_values<B>(cells * d, 4), dy = random_values<B>(cells * d, 5);
    const std::vector<float> amounts{0.5f, -2}, gain{1.25f}, dgain{0.75f};
    DeviceBuffer<B> z_(z), df_(df), x_(x), h_(h), dy_(dy), f_(2 * d), dz_(2 * d), y_(cells * d), dh_(cells * d),
        dfactor_(2 * d);
    DeviceBuffer<float> amounts_(amounts), gain_(gain), dgain_(dgain), workspace(2);
    started(excitation(z_.data(), amounts_.data(), gain_.data(), f_.data(), 2, D, nullptr));
    started(excitation_backward(z_.data(), amounts_.data(), gain_.data(), df_.data(), dz_.data(), 2, D, nullptr));
    started(excitation_backward_gain(z_.data(), amounts_.data(), df_.data(), dgain_.data(), workspace.data(), 2, D,
                                     nullptr));
    started(excite(x_.data(), h_.data(), df_.data(), y_.data(), pictures.on_device(), D, nullptr));
    started(excite_backward(h_.data(), df_.data(), dy_.data(), dh_.data(), dfactor_.data(), pictures.on_device(), D,
                            nullptr));
    const auto at = [](const std::vector<B>& v, std::size_t i) { return static_cast<double>(widen(v[i])); };
    std::vector<Sum> f(2 * d), dz(2 * d), g{{0.75, 0.75}}, y(cells * d), dh(cells * d), dfactor(2 * d);
    for (std::size_t i = 0; i < 2 * d; ++i) {
      const double s = 1 / (1 + std::exp(-at(z, i))), a = static_cast<double>(amounts[i / d]);
      f[i].add(a * 1.25 * s);
      dz[i].add(a * 1.25 * s * (1 - s) * at(df, i));
      g[0].add(a * s * at(df, i));
    }
    for (std::size_t i = 0; i < cells * d; ++i) {
      const std::size_t of = (i / d < 35 ? 0 : d) + i % d;
      y[i].add(at(x, i));
      y[i].add(at(df, of) * at(h, i));
      dh[i].add(at(df, of) * at(dy, i));
      dfactor[of].add(at(dy, i) * at(h, i));
    }
    CAPTURE(D);
    CHECK(worst_error<B>(f_.host(), f, 8) <= 1);
    CHECK(worst_error<B>(dz_.host(), dz, 12) <= 1);
    CHECK(worst_error<B>(dgain_.host(), g, 80) <= 1);
    CHECK(worst_error<B>(y_.host(), y, 2) <= 1);
    CHECK(worst_error<B>(dh_.host(), dh, 1) <= 1);
    CHECK(worst_error<B>(dfactor_.host(), dfactor, 36) <= 1);
    CHECK((f_.intact() && dz_.intact() && dgain_.intact() && workspace.intact() && y_.intact() && dh_.intact() &&
           dfactor_.intact()));
  }
}

#if !defined(__CUDACC__)
TEST_CASE("sums of excitations under shuffled schedules and without their barriers", "[raw][excitation]") {
  const TestPictures pictures({{5, 7}, {3, 3}}, {1, 1, 1}, 0, 0);
  DeviceBuffer<float> h(random_values<float>(220, 5)), dy(random_values<float>(220, 6)), z(random_values<float>(10, 7)),
      amounts(std::vector<float>{2, 3});
  const auto run = [&] {
    DeviceBuffer<float> dh(220), df(10), workspace(2), dgain(std::vector<float>{1});
    started(excite_backward(h.data(), z.data(), dy.data(), dh.data(), df.data(), pictures.on_device(), 5, nullptr));
    started(
        excitation_backward_gain(z.data(), amounts.data(), df.data(), dgain.data(), workspace.data(), 2, 5, nullptr));
    std::string bytes;
    emulator::append_bytes(bytes, dh.host());
    emulator::append_bytes(bytes, df.host());
    emulator::append_bytes(bytes, dgain.host());
    return bytes;
  };
  CHECK(emulator::schedules_agree(run, 5));
  std::size_t met = 0;
  CHECK(emulator::unneeded_barriers(run, 4, met) == "");
  CHECK(met == 2);
}
#endif

}  // namespace excitation_test
