/// What the tests of raw kernels share: numbers, tolerances, and runs under shuffled schedules and with barriers taken
/// out.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "device_buffer.hpp"

namespace emulator {

/// Throws unless a launch has started; on a GPU, unless it has also ended well.
inline void started(cudaError_t error) {
#if defined(__CUDACC__)
  if (error == cudaSuccess) error = cudaDeviceSynchronize();
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
#else
  if (error != cudaSuccess) throw std::runtime_error("the launch failed");
#endif
}

template <class R>
constexpr double epsilon_of = std::is_same_v<R, double>  ? std::numeric_limits<double>::epsilon()
                              : std::is_same_v<R, float> ? double{std::numeric_limits<float>::epsilon()}
                                                         : 0x1p-8;

/// Normal numbers, rounded to R, from a fixed seed.
template <class R>
std::vector<R> random_values(std::size_t count, unsigned seed) {
  std::mt19937 bits(seed);
  std::normal_distribution<double> normal;
  std::vector<R> values(count);
  for (R& v : values) v = flamingo::raw::narrow<R>(static_cast<flamingo::raw::Accumulate<R>>(normal(bits)));
  return values;
}

/// A sum in double with what its rounding is measured by: Σ |terms|, and of them what was rounded to R before.
struct Sum {
  double value = 0, terms = 0, rounded = 0;
  void add(double term) { *this += Sum{term, std::abs(term)}; }
  Sum& operator+=(const Sum& other) {
    value += other.value;
    terms += other.terms;
    rounded += other.rounded;
    return *this;
  }
};

/// The largest error in units of what rounding allows: one rounding of the result to T and of what was rounded to R,
/// and `roundings` of each term in Accumulate<R>. At most 1 is right.
template <class R, class T>
double worst_error(const std::vector<T>& got, const std::vector<Sum>& want, double roundings) {
  double worst = got.size() == want.size() ? 0 : std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < got.size() && i < want.size(); ++i) {
    const double error = std::abs(static_cast<double>(flamingo::raw::widen(got[i])) - want[i].value);
    const double allowed = epsilon_of<T> * std::abs(want[i].value) + epsilon_of<R> * want[i].rounded +
                           roundings * epsilon_of<flamingo::raw::Accumulate<R>> * want[i].terms +
                           std::numeric_limits<double>::min();
    if (!(error <= allowed * worst))
      worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : error / allowed;
  }
  return worst;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || !std::memcmp(a.data(), b.data(), a.size() * sizeof(T)));
}

/// Results of several types as one string of bytes.
template <class T>
void append_bytes(std::string& bytes, const std::vector<T>& values) {
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

#if !defined(__CUDACC__)

/// Options of the machine for a scope.
class With {
 public:
  explicit With(const Options& options) : before_(std::exchange(machine().options, options)) {}
  With(const With&) = delete;
  With& operator=(const With&) = delete;
  ~With() { machine().options = before_; }

 private:
  Options before_;
};

/// Whether run() (which returns its results' bytes) gives the same under `seeds` shuffled schedules as in order.
template <class Run>
bool schedules_agree(Run run, std::uint64_t seeds) {
  const std::string in_order = run();
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const With shuffled({.seed = seed});
    if (run() != in_order) return false;
  }
  return true;
}

/// Takes out each barrier and wait that run() meets, one at a time, and says which of them can be missed: neither the
/// results nor the machine told the difference under `seeds` shuffled schedules. `met` becomes how many there are.
template <class Run>
std::string unneeded_barriers(Run run, std::uint64_t seeds, std::size_t& met) {
  machine().sites.clear();
  const std::string right = run();
  const std::vector<Site> sites = machine().sites;
  met = sites.size();
  std::string unneeded;
  for (const Site& site : sites) {
    bool noticed = false;
    for (std::uint64_t seed = 1; seed <= seeds && !noticed; ++seed) {
      const With fault({.seed = seed, .dropped = site});
      try {
        noticed = run() != right;
      } catch (const Fault&) {
        noticed = true;
      }
    }
    if (!noticed) unneeded += site.text() + ' ';
  }
  return unneeded;
}

#endif

}  // namespace emulator
