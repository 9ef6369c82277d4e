/// Rows of packed matrices as numbers: those that the formats mean, bit for bit.
#include <cmath>
#include <cstddef>
#include <vector>

#include <catch2/catch.hpp>

#include "kernels/cuda/raw/packed_matrices.hpp"

namespace packed_test {

using namespace flamingo;
using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::started;
using test::DevicePacked;

namespace {

/// Rows that `ids` name of w, and after its rows those of `more`.
template <class R>
void check_rows(const DevicePacked& w, const std::vector<int>& ids, int more_rows) {
  const auto width = static_cast<std::size_t>(w.D);
  const std::vector<R> more = random_values<R>(static_cast<std::size_t>(more_rows) * width, 3);
  DeviceBuffer<R> more_(more), y_(ids.size() * width);
  DeviceBuffer<int> ids_(ids);
  started(
      unpack_rows(w.view(), more_.data(), more_rows, ids_.data(), y_.data(), static_cast<int>(ids.size()), nullptr));
  const std::vector<R> y = y_.host();
  bool right = true;
  for (std::size_t n = 0; n < ids.size(); ++n)
    for (std::size_t d = 0; d < width; ++d) {
      const R number = y[n * width + d];
      const int id = ids[n];
      if (id < 0 || id >= w.O + more_rows) {
        right &= std::isnan(static_cast<double>(widen(number)));
        continue;
      }
      const R want = id < w.O ? raw::narrow<R>(static_cast<raw::Accumulate<R>>(w.numbers(id, static_cast<int>(d))))
                              : more[static_cast<std::size_t>(id - w.O) * width + d];
      right &= widen(number) == widen(want);
    }
  CHECK(right);
  CHECK((w.intact() && more_.intact() && ids_.intact() && y_.intact()));
}

}  // namespace

TEMPLATE_TEST_CASE("rows of packed matrices are the numbers of their format", "[raw][packed]", float, double,
                   __nv_bfloat16) {
  for (const auto& [format, name] : test::all_formats) {
    CAPTURE(name);
    const bool blocks = in_blocks(static_cast<PackedFormat>(format));
    // Groups of two and of four blocks, with and without a shorter one at the end; panels that are not full.
    for (const int D : blocks ? std::vector{32, 96, 128, 160} : std::vector{5, 24, 64, 1032})
      check_rows<TestType>(DevicePacked(format, 37, D, 11), {36, 0, 31, 38, 32, 5, -1, 39, 40}, 3);
  }
}

TEST_CASE("a packed matrix is unpacked whole without an index", "[raw][packed]") {
  const DevicePacked w(Format::q4_0, 34, 64, 12);
  DeviceBuffer<float> y(34 * 64);
  started(unpack_rows(w.view(), static_cast<const int*>(nullptr), y.data(), 34, nullptr));
  const std::vector<float> got = y.host();
  bool right = true;
  for (int r = 0; r < 34; ++r)
    for (int c = 0; c < 64; ++c)
      right &= static_cast<double>(got[static_cast<std::size_t>(r * 64 + c)]) == w.numbers(r, c);
  CHECK(right);
}

TEST_CASE("a panel begins a matrix of its own", "[raw][packed]") {
  const DevicePacked w(Format::q4_1, 70, 96, 13);
  PackedView part = w.view();
  part.data = static_cast<const unsigned char*>(part.data) + packed_bytes(part.format, 32, part.D);
  part.O = 38;
  DeviceBuffer<float> y(38 * 96);
  started(unpack_rows(part, static_cast<const int*>(nullptr), y.data(), 38, nullptr));
  CHECK(static_cast<double>(y.host()[37 * 96 + 95]) == w.numbers(69, 95));
  CHECK(static_cast<double>(y.host()[7 * 96 + 33]) == w.numbers(39, 33));
}

TEST_CASE("blocks at an odd address, or cut, are refused", "[raw][packed]") {
  const DevicePacked w(Format::q8_0, 3, 64, 14);
  DeviceBuffer<float> y(3 * 64);
  const int* const all = nullptr;
  PackedView odd = w.view(), cut = w.view();
  odd.data = static_cast<const unsigned char*>(odd.data) + 2;
  cut.D = 48;
  CHECK(unpack_rows(odd, all, y.data(), 1, nullptr) == cudaErrorInvalidValue);
  CHECK(unpack_rows(cut, all, y.data(), 1, nullptr) == cudaErrorInvalidValue);
  CHECK(unpack_rows(w.view(), all, y.data(), 0, nullptr) == cudaSuccess);
}

}  // namespace packed_test
