#include <flamingo/train/moment_store.hpp>

#include <catch2/catch.hpp>
#include <vector>

#include <flamingo/core/random.hpp>
#include <flamingo/kernels/cpu/adamw.hpp>

#include "support/platforms.hpp"

namespace moment_store_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr std::size_t size = 64;

}  // namespace

TEMPLATE_LIST_TEST_CASE("moments are read as they were written, of few bits rounded once", "[moment_store]",
                        Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(1, 1 << 12);
  Random random(5);
  for (const MomentFormat format : {MomentFormat::full, MomentFormat::bf16, MomentFormat::block8})
    for (const bool has_sign : {true, false}) {
      INFO(name_of(format) << (has_sign ? ", first" : ", second"));
      MomentStore<P, R> moments(format, has_sign, size);
      CHECK(moments.read(ctx, 0, size) == std::vector<R>(size));
      std::vector<R> numbers;
      for (std::size_t i = 0; i < size; ++i) {
        const auto x = static_cast<R>(random.normal());
        numbers.push_back(has_sign ? x : x * x);
      }
      moments.write(0, numbers);
      const std::vector<R> held = moments.read(ctx, 0, size);
      CHECK((held == numbers) == (format == MomentFormat::full));
      const double quantum = format == MomentFormat::block8 ? 0x1p-4 : 0x1p-8;
      for (std::size_t i = 0; i < size; ++i)
        CHECK(std::abs(static_cast<double>(held[i] - numbers[i])) <=
              quantum * std::abs(static_cast<double>(numbers[i])));
      MomentStore<P, R> again(format, has_sign, size);
      again.write(0, std::span<const R>(held).first(16));
      again.write(16, std::span<const R>(held).subspan(16));
      CHECK(again.read(ctx, 16, 48) == std::vector<R>(held.begin() + 16, held.end()));
      CHECK((again.codes == moments.codes && again.halves == moments.halves && again.flat == moments.flat));
    }
}

TEST_CASE("moments take the memory that is told", "[moment_store]") {
  for (const MomentFormat format : {MomentFormat::full, MomentFormat::bf16, MomentFormat::block8}) {
    const MomentStore<Cpu<float>, float> m(format, true, size);
    const std::size_t bytes = 4 * m.flat.size() + 2 * m.halves.size() + m.codes.size() + m.exponents.size();
    CHECK(static_cast<double>(bytes) == moment_bytes<float>(format) * static_cast<double>(size));
  }
  CHECK(moment_bytes<double>(MomentFormat::full) == 8);
}

}  // namespace moment_store_test
