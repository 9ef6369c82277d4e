#include <flamingo/kernels/cpu/vector_math.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include <flamingo/core/random.hpp>

#include "support/platforms.hpp"

namespace vector_math_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

template <class T>
using Math = kernels::VectorMath<T, native_isa>;

/// f of each number.
template <class T, class F>
std::vector<T> each(std::vector<T> x, const F& f) {
  constexpr std::size_t lanes = Math<T>::lanes;
  const std::size_t count = x.size();
  x.resize((count + lanes - 1) / lanes * lanes);
  for (std::size_t i = 0; i < x.size(); i += lanes) Math<T>::store(&x[i], f(Math<T>::load(&x[i])));
  x.resize(count);
  return x;
}

/// Numbers of all exponents up to `most`, both signs; those of a real model densely.
template <class T>
std::vector<T> sweep(T most) {
  std::vector<T> x;
  Random draw(20221128, 1);
  const auto random = [&](T scale) {
    for (const T sign : {T(-1), T(1)})
      x.push_back(sign * scale * (static_cast<T>(draw.uniform()) + static_cast<T>(draw.uniform()) * T(0x1p-24)));
  };
  for (T scale = most; scale > 0; scale /= 2)
    for (int i = 0; i < 50; ++i) random(scale);
  for (int i = 0; i < 100000; ++i) {
    random(most);
    random(std::min(most, T(4)));
  }
  return x;
}

/// The largest |computed - f(x)| in units of the last place of f(x), f in the next wider type.
template <class T, class F, class Exact>
double error(const std::vector<T>& x, const F& f, const Exact& exact) {
  const auto computed = each(x, f);
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    using Wide = std::conditional_t<sizeof(T) == 4, double, long double>;
    const Wide right = exact(static_cast<Wide>(x[i]));
    const T rounded = std::abs(static_cast<T>(right));
    const Wide unit = static_cast<Wide>(std::nextafter(rounded, std::numeric_limits<T>::infinity())) - rounded;
    const double off = static_cast<double>(std::abs(static_cast<Wide>(computed[i]) - right) / unit);
    if (!(off <= worst)) worst = off;  // NaN too
  }
  return worst;
}

}  // namespace

TEMPLATE_TEST_CASE("elementary functions are right to a few units of the last place", "[vector_math]", float, double) {
  using T = TestType;
  using M = Math<T>;
  const T most = sizeof(T) == 4 ? T(88.7) : T(709);
  const auto x = sweep<T>(most);
  CHECK(error(
            x, [](auto v) { return M::exp(v); }, [](auto v) { return std::exp(v); }) < 1.5);
  CHECK(error(
            x, [](auto v) { return M::tanh(v); }, [](auto v) { return std::tanh(v); }) < 7);
  CHECK(error(
            x, [](auto v) { return M::erf(v); }, [](auto v) { return std::erf(v); }) < 10);
  CHECK(error(
            x, [](auto v) { return M::logistic(v); }, [](auto v) { return 1 / (1 + std::exp(-v)); }) < 4);
}

TEST_CASE("sine and cosine of angles up to 2^20", "[vector_math]") {
  using M = Math<double>;
  auto x = sweep<double>(0x1p20);
  const double quarter = std::acos(0.0);
  for (int k = -1000; k < 1000; ++k)  // where one of them all but vanishes
    for (const double at : {k * quarter, std::nextafter(k * quarter, 0.0)}) x.push_back(at);
  const auto sine = [](auto v) {
    M::Vector s, c;
    M::sine_and_cosine(v, s, c);
    return s;
  };
  const auto cosine = [](auto v) {
    M::Vector s, c;
    M::sine_and_cosine(v, s, c);
    return c;
  };
  double worst = 0;  // against 1: rotations add products with both
  const auto s = each(x, sine), c = each(x, cosine);
  for (std::size_t i = 0; i < x.size(); ++i) {
    worst = std::max({worst, std::abs(s[i] - static_cast<double>(std::sin(static_cast<long double>(x[i])))),
                      std::abs(c[i] - static_cast<double>(std::cos(static_cast<long double>(x[i]))))});
  }
  CHECK(worst < 3e-16);
}

TEMPLATE_TEST_CASE("elementary functions at the ends of the numbers", "[vector_math]", float, double) {
  using T = TestType;
  using M = Math<T>;
  using Limits = std::numeric_limits<T>;
  constexpr T infinity = Limits::infinity(), largest = Limits::max(), tiny = Limits::denorm_min();
  const std::vector<T> x{-infinity, -largest, -1000, -T(0), T(0), tiny, -tiny, 4 * tiny, 1000, largest, infinity};
  const auto equal = [&](const auto& f, const std::vector<T>& y) { CHECK(each(x, f) == y); };
  equal([](auto v) { return M::exp(v); }, {0, 0, 0, 1, 1, 1, 1, 1, infinity, infinity, infinity});
  equal([](auto v) { return M::tanh(v); }, {-1, -1, -1, 0, 0, tiny, -tiny, 4 * tiny, 1, 1, 1});
  const T slope = T(1.12837916709551257390);
  equal([](auto v) { return M::erf(v); }, {-1, -1, -1, 0, 0, tiny * slope, -tiny * slope, 4 * tiny * slope, 1, 1, 1});
  const T half = T(0.5);
  equal([](auto v) { return M::logistic(v); }, {0, 0, 0, half, half, half, half, half, 1, 1, 1});

  // Where eˣ is subnormal there are fewer digits, not none.
  const T low = sizeof(T) == 4 ? T(-103.9) : T(-745);
  std::vector<T> last;
  for (T v = std::log(Limits::min()); v > low; v -= T(0.01)) last.push_back(v);
  CHECK(error(
            last, [](auto v) { return M::exp(v); }, [](auto v) { return std::exp(v); }) <= 1);

  const std::vector<T> nan(1, Limits::quiet_NaN());
  CHECK(std::isnan(each(nan, [](auto v) { return M::exp(v); })[0]));
  CHECK(std::isnan(each(nan, [](auto v) { return M::tanh(v); })[0]));
  CHECK(std::isnan(each(nan, [](auto v) { return M::erf(v); })[0]));
  CHECK(std::isnan(each(nan, [](auto v) { return M::logistic(v); })[0]));
}

TEMPLATE_TEST_CASE("a number's bits do not depend on its neighbours or on how many there are", "[vector_math]", float,
                   double) {
  using T = TestType;
  using M = Math<T>;
  using Half = kernels::VectorMath<T, native_isa, M::lanes / 2>;
  auto x = sweep<T>(20);
  x.resize(x.size() / M::lanes * M::lanes);
  const auto whole = each(x, [](auto v) { return M::exp(v) + M::erf(v) * M::tanh(v); });
  bool same = true;
  for (std::size_t i = 0; i < x.size(); i += Half::lanes) {
    std::array<T, Half::lanes> y;
    const auto v = Half::load(&x[i]);
    Half::store(y.data(), Half::exp(v) + Half::erf(v) * Half::tanh(v));
    same &= std::equal(y.begin(), y.end(), whole.begin() + static_cast<std::ptrdiff_t>(i));
  }
  CHECK(same);
}

}  // namespace vector_math_test
