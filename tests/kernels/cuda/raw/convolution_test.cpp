/// Convolution against plain loops in double: bf16 on matrix tiles, chunks of windows, groups, shuffled schedules.
#include <flamingo/kernels/cuda/raw/convolution.cuh>

#include <catch2/catch.hpp>

#include <checking.hpp>

#include "pictures.hpp"

namespace convolution_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::started;
using emulator::Sum;
using emulator::worst_error;

namespace {

std::size_t size(int rows, int D) { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(D); }

template <class R>
struct Convolved {
  using A = Accumulate<R>;
  Window window;
  Channels channels;
  const TestPictures& pictures;
  std::vector<R> x, w, dy;
  std::vector<A> bias, dw, dbias;  // gradients: what lies there before
  std::vector<R> y, dx;
  std::vector<A> new_dw, new_dbias;
  bool intact = false;

  Convolved(const TestPictures& of, const Window& moving, const Channels& c)
      : window(moving),
        channels(c),
        pictures(of),
        x(random_values<R>(size(of.cells, c.in), 1)),
        w(random_values<R>(size(c.out, moving.cells() * c.group_in()), 2)),
        dy(random_values<R>(size(of.windows, c.out), 3)),
        bias(random_values<A>(size(1, c.out), 4)),
        dw(random_values<A>(w.size(), 5)),
        dbias(random_values<A>(size(1, c.out), 6)) {}

  void run() {
    const Pictures p = pictures.on_device();
    DeviceBuffer<R> x_(x), w_(w), dy_(dy), y_(dy.size()), dx_(x.size());
    DeviceBuffer<A> bias_(bias), dw_(dw), dbias_(dbias), taps(convolution_workspace(window, channels)),
        partial(convolution_gradient_workspace<R>(pictures.windows, window, channels)),
        sums(column_sum_workspace(pictures.windows, channels.out));
    started(convolution_forward(x_.data(), w_.data(), bias_.data(), y_.data(), p, window, channels, {A(-4), A(5)},
                                taps.data(), nullptr));
    started(convolution_backward_input(dy_.data(), w_.data(), dx_.data(), p, window, channels, taps.data(), nullptr));
    started(
        convolution_backward_weight(x_.data(), dy_.data(), dw_.data(), p, window, channels, partial.data(), nullptr));
    started(convolution_backward_bias(dy_.data(), dbias_.data(), sums.data(), pictures.windows, channels.out, nullptr));
    y = y_.host();
    dx = dx_.host();
    new_dw = dw_.host();
    new_dbias = dbias_.host();
    intact = x_.intact() && w_.intact() && dy_.intact() && y_.intact() && dx_.intact() && dw_.intact() &&
             dbias_.intact() && taps.intact() && partial.intact() && sums.intact();
  }
  std::string bytes() {
    run();
    std::string all;
    emulator::append_bytes(all, y);
    emulator::append_bytes(all, dx);
    emulator::append_bytes(all, new_dw);
    emulator::append_bytes(all, new_dbias);
    return all;
  }

  void check() {
    run();
    const int I = channels.group_in(), O = channels.group_out(), columns = window.cells() * I;
    std::vector<Sum> want_y(dy.size()), want_dx(x.size()), want_dw(w.size()), want_dbias(bias.size());
    const auto number = [](const auto& v, std::size_t i) { return static_cast<double>(widen(v[i])); };
    for (std::size_t i = 0; i < w.size(); ++i) want_dw[i].add(number(dw, i));
    for (std::size_t i = 0; i < bias.size(); ++i) want_dbias[i].add(number(dbias, i));
    for (std::size_t i = 0; i < dy.size(); ++i) {
      want_y[i].add(number(bias, i % bias.size()));
      want_dbias[i % bias.size()].add(number(dy, i));
    }
    pictures.each(window, [&](int row, int k, int l, int cell) {
      for (int o = 0; o < channels.out; ++o)
        for (int i = 0; i < I; ++i) {
          const std::size_t from = size(cell, channels.in) + static_cast<std::size_t>(o / O * I + i),
                            to = size(row, channels.out) + static_cast<std::size_t>(o),
                            weight = size(o, columns) + static_cast<std::size_t>((k * window.width + l) * I + i);
          want_y[to].add(number(w, weight) * number(x, from));
          want_dx[from].add(number(w, weight) * number(dy, to));
          want_dw[weight].add(number(x, from) * number(dy, to));
        }
    });
    for (Sum& s : want_y) s.value = s.value < -4 ? -4 : s.value > 5 ? 5 : s.value;
    const double windows = 8 + pictures.windows / 8.0;  // Σ |terms| grows with the terms, roundings with their number
    CAPTURE(channels.in, channels.out, channels.groups, window.height, window.stride, pictures.windows);
    CHECK(intact);
    CHECK(worst_error<R>(y, want_y, 8 + columns / 8.0) <= 1);
    CHECK(worst_error<R>(dx, want_dx, 8 + window.cells() * O / 8.0) <= 1);
    CHECK(worst_error<R>(new_dw, want_dw, windows) <= 1);
    CHECK(worst_error<R>(new_dbias, want_dbias, windows) <= 1);
  }
};

template <class R>
void check_convolution(const std::vector<std::vector<int>>& sizes, const Window& window, int border,
                       const Channels& channels) {
  const TestPictures pictures(sizes, window, border, border);
  Convolved<R>(pictures, window, channels).check();
}

}  // namespace

TEST_CASE("convolutions agree with plain loops", "[raw][convolution]") {
  const std::vector<std::vector<int>> ragged{{7, 5}, {3, 9}, {4, 4}},
      large{{18, 16}, {18, 16}};  // more windows than one chunk
  check_convolution<__nv_bfloat16>(ragged, {3, 3, 1}, 1, {16, 24, 1});
  check_convolution<__nv_bfloat16>(ragged, {3, 3, 2}, 1, {32, 16, 2});
  check_convolution<__nv_bfloat16>(ragged, {2, 2, 2}, 0, {3, 5, 1});  // no packs
  check_convolution<__nv_bfloat16>(large, {1, 1, 1}, 0, {8, 8, 1});
  check_convolution<__nv_bfloat16>(ragged, {3, 3, 2}, 1, {16, 16, 16});
  check_convolution<__nv_bfloat16>(ragged, {3, 3, 1}, 1, {5, 5, 5});
  check_convolution<float>(large, {3, 3, 1}, 1, {4, 8, 1});
  check_convolution<float>(ragged, {3, 3, 1}, 1, {20, 68, 1});
  check_convolution<float>(large, {3, 3, 1}, 1, {4, 4, 4});
  check_convolution<double>(ragged, {3, 2, 1}, 1, {6, 9, 3});
}

TEST_CASE("a picture's windows do not see other pictures", "[raw][convolution]") {
  const Window window{3, 3, 1};
  const TestPictures both({{7, 5}, {3, 9}}, window, 1, 1), second({{3, 9}}, window, 1, 1);
  for (const Channels& channels : {Channels{8, 6, 1}, Channels{8, 8, 8}}) {
    Convolved<float> all(both, window, channels), one(second, window, channels);
    one.x.assign(all.x.end() - static_cast<std::ptrdiff_t>(one.x.size()), all.x.end());
    all.run();
    one.run();
    CHECK(emulator::same_bits(one.y, {all.y.end() - static_cast<std::ptrdiff_t>(one.y.size()), all.y.end()}));
  }
}

#if !defined(__CUDACC__)
TEMPLATE_TEST_CASE("convolutions under shuffled schedules and without their barriers", "[raw][convolution]", float,
                   __nv_bfloat16) {
  const Window window{3, 3, 1};
  const TestPictures pictures({{7, 5}, {3, 9}}, window, 1, 1);
  Convolved<TestType> convolved(pictures, window, {16, 16, 1});
  CHECK(emulator::schedules_agree([&] { return convolved.bytes(); }, 3));
  std::size_t met = 0;
  CHECK(emulator::unneeded_barriers([&] { return convolved.bytes(); }, 6, met) == "");
  CHECK(met == 4);  // sums of columns, two barriers and a wait of the products
}
#endif

}  // namespace convolution_test
