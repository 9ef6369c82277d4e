/// Layer norm and RMS norm against plain loops in double.
#include <cstddef>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <checking.hpp>
#include <flamingo/kernels/cuda/raw/layer_norm.cuh>

namespace layer_norm_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::same_bits;
using emulator::started;
using emulator::Sum;
using emulator::worst_error;

namespace {

constexpr double epsilon = 1e-5;

template <class R, class W>
struct Norm {
  using A = Accumulate<R>;
  bool centred;
  int N, D;
  std::vector<R> x, dy;
  std::vector<W> scale, bias;
  std::vector<A> dscale, dbias;  // what lies there before
  std::vector<R> y, dx;
  std::vector<A> mean, rstd, new_dscale, new_dbias;
  bool intact = false;

  Norm(bool centred_, int rows, int dim, unsigned seed)
      : centred(centred_),
        N(rows),
        D(dim),
        x(random_values<R>(size(N, D), seed)),
        dy(random_values<R>(size(N, D), seed + 1)),
        scale(random_values<W>(size(1, D), seed + 2)),
        bias(random_values<W>(size(1, D), seed + 3)),
        dscale(random_values<A>(size(1, D), seed + 4)),
        dbias(random_values<A>(size(1, D), seed + 5)) {}
  static std::size_t size(int rows, int dim) { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(dim); }

  void run() {
    DeviceBuffer<R> x_(x), dy_(dy), y_(x.size()), dx_(x.size());
    DeviceBuffer<W> scale_(scale), bias_(bias);
    DeviceBuffer<A> mean_(size(N, 1)), rstd_(size(N, 1)), dscale_(dscale), dbias_(dbias), work_(norm_workspace(N, D));
    const auto e = static_cast<A>(epsilon);
    if (centred) {
      started(layer_norm_forward(x_.data(), scale_.data(), bias_.data(), y_.data(), mean_.data(), rstd_.data(), N, D, e,
                                 nullptr));
      started(layer_norm_backward(dy_.data(), x_.data(), scale_.data(), mean_.data(), rstd_.data(), dx_.data(),
                                  dscale_.data(), dbias_.data(), work_.data(), N, D, nullptr));
    } else {
      started(rms_norm_forward(x_.data(), scale_.data(), y_.data(), rstd_.data(), N, D, e, nullptr));
      started(rms_norm_backward(dy_.data(), x_.data(), scale_.data(), rstd_.data(), dx_.data(), dscale_.data(),
                                work_.data(), N, D, nullptr));
    }
    y = y_.host();
    dx = dx_.host();
    mean = mean_.host();
    rstd = rstd_.host();
    new_dscale = dscale_.host();
    new_dbias = dbias_.host();
    intact = x_.intact() && dy_.intact() && y_.intact() && dx_.intact() && mean_.intact() && rstd_.intact() &&
             dscale_.intact() && dbias_.intact() && work_.intact();
  }

  std::string bytes() {
    run();
    std::string all;
    emulator::append_bytes(all, y);
    emulator::append_bytes(all, dx);
    emulator::append_bytes(all, new_dscale);
    emulator::append_bytes(all, new_dbias);
    return all;
  }
};

/// The formulas, one loop after the other.
struct Reference {
  std::vector<Sum> y, dx, dscale, dbias, mean, rstd;

  template <class R, class W>
  explicit Reference(const Norm<R, W>& n) {
    const auto N = static_cast<std::size_t>(n.N), D = static_cast<std::size_t>(n.D);
    const double d = n.D;
    for (std::size_t c = 0; c < D; ++c) {
      dscale.push_back({n.dscale[c], std::abs(n.dscale[c])});
      dbias.push_back({n.dbias[c], std::abs(n.dbias[c])});
    }
    for (std::size_t row = 0; row < N; ++row) {
      const auto x = [&](std::size_t c) { return static_cast<double>(widen(n.x[row * D + c])); };
      const auto g = [&](std::size_t c) { return static_cast<double>(widen(n.dy[row * D + c])); };
      const auto w = [&](std::size_t c) { return static_cast<double>(widen(n.scale[c])); };
      Sum m, squares, mean_g, mean_gx;
      for (std::size_t c = 0; c < D && n.centred; ++c) m.add(x(c) / d);
      for (std::size_t c = 0; c < D; ++c) squares.add((x(c) - m.value) * (x(c) - m.value) / d);
      const double r = 1 / std::sqrt(squares.value + epsilon);
      for (std::size_t c = 0; c < D; ++c) {
        const double hat = (x(c) - m.value) * r;
        mean_g.add(n.centred ? g(c) * w(c) / d : 0);
        mean_gx.add(g(c) * w(c) * hat / d);
      }
      mean.push_back(m);
      rstd.push_back({r, r});
      for (std::size_t c = 0; c < D; ++c) {
        const double hat = (x(c) - m.value) * r, b = n.centred ? static_cast<double>(widen(n.bias[c])) : 0;
        const double hat_terms = (std::abs(x(c)) + m.terms) * r;
        y.push_back({hat * w(c) + b, hat_terms * std::abs(w(c)) + std::abs(b)});
        dx.push_back({r * (g(c) * w(c) - mean_g.value - hat * mean_gx.value),
                      r * (std::abs(g(c) * w(c)) + mean_g.terms + hat_terms * mean_gx.terms)});
        dscale[c] += {g(c) * hat, std::abs(g(c)) * hat_terms};
        dbias[c].add(g(c));
      }
    }
  }
};

template <class R, class W>
void check_against_reference(bool centred, int N, int D) {
  Norm<R, W> norm(centred, N, D, 11);
  norm.run();
  const Reference want(norm);
  const double roundings = 8 + D / 8.0, rows = 8 + N;  // a lane's share of a row and the steps after it; a column
  CAPTURE(centred, N, D);
  CHECK(norm.intact);
  CHECK(worst_error<R>(norm.y, want.y, roundings) <= 1);
  CHECK(worst_error<R>(norm.dx, want.dx, roundings) <= 1);
  CHECK(worst_error<R>(norm.rstd, want.rstd, roundings) <= 1);
  CHECK(worst_error<R>(norm.new_dscale, want.dscale, roundings + rows) <= 1);
  if (centred) {
    CHECK(worst_error<R>(norm.mean, want.mean, roundings) <= 1);
    CHECK(worst_error<R>(norm.new_dbias, want.dbias, rows) <= 1);
  }
}

}  // namespace

TEST_CASE("norms agree with the formulas", "[raw][layer_norm]") {
  for (const bool centred : {true, false})
    for (const int D : {1, 31, 53, 128, 129, 520}) {
      check_against_reference<float, float>(centred, 37, D);
      check_against_reference<double, double>(centred, 37, D);
      check_against_reference<__nv_bfloat16, __nv_bfloat16>(centred, 37, D);
      check_against_reference<__nv_bfloat16, float>(centred, 37, D);
    }
  check_against_reference<float, float>(true, 131, 33);  // three chunks of rows
  check_against_reference<float, float>(true, 0, 53);
}

TEST_CASE("gradients of norms are the slopes of their outputs", "[raw][layer_norm]") {
  for (const bool centred : {true, false}) {
    constexpr int N = 3, D = 7;
    Norm<double, double> norm(centred, N, D, 5);
    norm.run();
    const auto dx = norm.dx, dscale = norm.new_dscale, dbias = norm.new_dbias;
    const auto slope = [&](double& value) {
      constexpr double h = 1e-5;
      const double at = value;
      double sides[2];
      for (const int side : {0, 1}) {
        value = at + (side ? h : -h);
        norm.run();
        sides[side] = 0;
        for (std::size_t i = 0; i < norm.y.size(); ++i) sides[side] += norm.y[i] * norm.dy[i];
      }
      value = at;
      return (sides[1] - sides[0]) / (2 * h);
    };
    for (std::size_t i = 0; i < N * D; ++i) CHECK(slope(norm.x[i]) == Approx(dx[i]).epsilon(1e-7).margin(1e-7));
    for (std::size_t c = 0; c < D; ++c) {
      CHECK(slope(norm.scale[c]) == Approx(dscale[c] - norm.dscale[c]).epsilon(1e-7).margin(1e-7));
      if (centred) CHECK(slope(norm.bias[c]) == Approx(dbias[c] - norm.dbias[c]).epsilon(1e-7).margin(1e-7));
    }
  }
}

TEST_CASE("a normed row does not see the others", "[raw][layer_norm]") {
  Norm<float, float> all(true, 37, 53, 2), one(true, 1, 53, 2);
  all.run();
  for (std::size_t row : {0u, 17u, 36u}) {
    one.x.assign(all.x.begin() + static_cast<std::ptrdiff_t>(row * 53),
                 all.x.begin() + static_cast<std::ptrdiff_t>(row * 53 + 53));
    one.scale = all.scale;
    one.bias = all.bias;
    one.run();
    CHECK(same_bits(one.y, {all.y.begin() + static_cast<std::ptrdiff_t>(row * 53),
                            all.y.begin() + static_cast<std::ptrdiff_t>(row * 53 + 53)}));
  }
}

TEST_CASE("unwanted gradients of norms may be null", "[raw][layer_norm]") {
  Norm<float, float> norm(true, 5, 37, 4);
  norm.run();
  DeviceBuffer<float> x(norm.x), dy(norm.dy), mean(norm.mean), rstd(norm.rstd), dx(norm.x.size());
  float* const none = nullptr;
  started(layer_norm_backward(dy.data(), x.data(), static_cast<const float*>(nullptr), mean.data(), rstd.data(),
                              dx.data(), none, none, none, 5, 37, nullptr));
  norm.scale.assign(37, 1.0f);
  norm.run();
  CHECK(same_bits(dx.host(), norm.dx));
}

#if !defined(__CUDACC__)
TEST_CASE("norms under shuffled schedules and without their barrier", "[raw][layer_norm]") {
  Norm<float, float> norm(true, 131, 53, 9);
  CHECK(emulator::schedules_agree([&] { return norm.bytes(); }, 5));
  std::size_t met = 0;
  CHECK(emulator::unneeded_barriers([&] { return norm.bytes(); }, 4, met) == "");
  CHECK(met == 1);
}
#endif

}  // namespace layer_norm_test
