/// Pooling in bf16 and under shuffled schedules; float and double are held against the CPU's in
/// kernels/cuda/vision_operations_test.cpp.
#include <flamingo/kernels/cuda/raw/pooling.cuh>

#include <catch2/catch.hpp>

#include <checking.hpp>

#include "pictures.hpp"

namespace pooling_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::started;
using emulator::Sum;
using emulator::worst_error;
using B = __nv_bfloat16;

namespace {

std::size_t size(int rows, int D) { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(D); }

}  // namespace

TEST_CASE("maxima and means of bf16 windows are sums in float, rounded once", "[raw][pooling]") {
  const Window window{3, 3, 2};
  const TestPictures pictures({{5, 7}, {5, 7}, {9, 4}}, window, 1, 1);
  const Pictures p = pictures.on_device();
  for (const int D : {16, 5}) {
    const auto x = random_values<B>(size(p.cells, D), 1), dy = random_values<B>(size(p.windows, D), 2);
    DeviceBuffer<B> x_(x), dy_(dy), most(dy.size()), mean(dy.size()), dx(x.size()), dmean(x.size());
    started(max_pool(x_.data(), most.data(), p, window, D, nullptr));
    started(max_pool_backward(x_.data(), dy_.data(), dx.data(), p, window, D, nullptr));
    started(average_pool(x_.data(), mean.data(), p, window, D, nullptr));
    started(average_pool_backward(dy_.data(), dmean.data(), p, window, D, nullptr));

    std::vector<Sum> want_most(dy.size(), Sum{-1e9, 0}), want_mean(dy.size()), want_dx(x.size()), want_dmean(x.size());
    std::vector<double> cells(dy.size());
    std::vector<std::size_t> largest(dy.size());
    const auto each = [&](const auto& f) {
      pictures.each(window, [&](int row, int, int, int cell) {
        for (int c = 0; c < D; ++c)
          f(size(row, D) + static_cast<std::size_t>(c), size(cell, D) + static_cast<std::size_t>(c));
      });
    };
    each([&](std::size_t y, std::size_t at) {
      const double value = static_cast<double>(widen(x[at]));
      if (value > want_most[y].value) {
        want_most[y] = {value, 0};
        largest[y] = at;
      }
      want_mean[y].add(value);
      ++cells[y];
    });
    for (std::size_t i = 0; i < dy.size(); ++i) {
      want_mean[i] = {want_mean[i].value / cells[i], want_mean[i].terms / cells[i]};
      want_dx[largest[i]].add(static_cast<double>(widen(dy[i])));
    }
    each([&](std::size_t y, std::size_t at) { want_dmean[at].add(static_cast<double>(widen(dy[y])) / cells[y]); });
    CAPTURE(D);
    CHECK(worst_error<B>(most.host(), want_most, 0) <= 1);
    CHECK(worst_error<B>(dx.host(), want_dx, 9) <= 1);
    CHECK(worst_error<B>(mean.host(), want_mean, 10) <= 1);
    CHECK(worst_error<B>(dmean.host(), want_dmean, 10) <= 1);
    CHECK((most.intact() && mean.intact() && dx.intact() && dmean.intact()));
  }
}

TEST_CASE("the first of equal numbers has a maximum's gradient", "[raw][pooling]") {
  const Window window{2, 2, 1};
  const TestPictures pictures({{2, 3}}, window, 0, 0);
  DeviceBuffer<float> x(std::vector<float>{1, 1, 0, 1, 1, 1}), dy(std::vector<float>{3, 5}), dx(6);
  started(max_pool_backward(x.data(), dy.data(), dx.data(), pictures.on_device(), window, 1, nullptr));
  CHECK(dx.host() == std::vector<float>{3, 5, 0, 0, 0, 0});
}

TEST_CASE("means of bf16 pictures and back", "[raw][pooling]") {
  const TestPictures pictures({{5, 7}, {3, 3}}, {1, 1, 1}, 0, 0);
  const Pictures p = pictures.on_device();
  for (const int D : {8, 37}) {
    const auto x = random_values<B>(size(p.cells, D), 3), dy = random_values<B>(size(2, D), 4);
    DeviceBuffer<B> x_(x), dy_(dy), y(dy.size()), dx(x.size());
    started(picture_mean(x_.data(), y.data(), p, D, nullptr));
    started(picture_mean_backward(dy_.data(), dx.data(), p, D, nullptr));
    std::vector<Sum> want(dy.size()), back(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const bool second = i >= size(35, D);
      const std::size_t at = i % static_cast<std::size_t>(D) + (second ? static_cast<std::size_t>(D) : 0);
      want[at].add(static_cast<double>(widen(x[i])) / (second ? 9 : 35));
      back[i].add(static_cast<double>(widen(dy[at])) / (second ? 9 : 35));
    }
    CHECK(worst_error<B>(y.host(), want, 36) <= 1);
    CHECK(worst_error<B>(dx.host(), back, 1) <= 1);
    CHECK((y.intact() && dx.intact()));
  }
}

#if !defined(__CUDACC__)
TEST_CASE("means of pictures under shuffled schedules and without their barrier", "[raw][pooling]") {
  const TestPictures pictures({{5, 7}, {3, 3}}, {1, 1, 1}, 0, 0);
  DeviceBuffer<float> x(random_values<float>(size(44, 5), 5));
  const auto run = [&] {
    DeviceBuffer<float> y(10);
    started(picture_mean(x.data(), y.data(), pictures.on_device(), 5, nullptr));
    std::string bytes;
    emulator::append_bytes(bytes, y.host());
    return bytes;
  };
  CHECK(emulator::schedules_agree(run, 5));
  std::size_t met = 0;
  CHECK(emulator::unneeded_barriers(run, 4, met) == "");
  CHECK(met == 1);
}
#endif

}  // namespace pooling_test
