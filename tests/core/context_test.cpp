#include <flamingo/core/context.hpp>

#include <catch2/catch.hpp>
#include <cstdint>
#include <type_traits>

#include <flamingo/kernels/cpu/context.hpp>

namespace context_test {

using namespace flamingo;
using P = Cpu<float>;

TEST_CASE("tensors come from the two ends of a context's arena", "[context]") {
  Context<P> ctx(1, 1 << 16);
  const auto kept = keep<7>(ctx, 5);
  static_assert(std::is_same_v<decltype(kept), const Rows<P, 7, float>>);
  CHECK(kept.shape() == std::array{5, 7});
  CHECK(ctx.arena().kept() == 192);  // 140 bytes
  {
    const auto scope = ctx.scope();
    const auto taken = scratch(ctx, 3, 11);
    static_assert(std::is_same_v<decltype(taken), const Rows<P, dynamic, float>>);
    CHECK(taken.shape() == std::array{3, 11});
    CHECK(ctx.arena().scratched() == 192);  // 132 bytes
    const auto wide = scratch<dynamic, double>(ctx, 3, 11);
    static_assert(std::is_same_v<decltype(wide), const Rows<P, dynamic, double>>);
    CHECK(ctx.arena().scratched() == 192 + 320);  // 264 bytes
    {
      const auto inner = ctx.scope();
      scratch(ctx, 100, 1);
    }
    CHECK(ctx.arena().scratched() == 192 + 320);
  }
  CHECK(ctx.arena().scratched() == 0);
  CHECK(ctx.arena().kept() == 192);
  CHECK(reinterpret_cast<std::uintptr_t>(kept.data) % Arena::alignment == 0);
}

TEST_CASE("take chooses the end by what will be read", "[context]") {
  Context<P> ctx(1, 1 << 16);
  take<true>(ctx, 2, 3);
  CHECK(ctx.arena().kept() == 64);
  take<false>(ctx, 2, 3);
  CHECK(ctx.arena().scratched() == 64);
  const auto ids = take_vector<int, true>(ctx, 17);
  CHECK(ids.size() == 17);
  CHECK(ctx.arena().kept() == 64 + 128);
  take_vector<double>(ctx, 9);
  CHECK(ctx.arena().scratched() == 64 + 128);
}

TEST_CASE("a context that is full says so", "[context]") {
  Context<P> ctx(1, 1 << 12);
  CHECK_THROWS_WITH(keep(ctx, 32, 33), Catch::Contains("4224 bytes asked for, 4096 of 4096 left"));
}

TEST_CASE("a dry context has no memory, and counts", "[context]") {
  Context<Dry<P>> ctx;
  const auto rows = keep(ctx, 1 << 20, 1 << 20);  // 4 TiB
  CHECK(rows.data == nullptr);
  CHECK(ctx.arena().peak() == std::size_t{1} << 42);
  ctx.count(1.5);
  ctx.count(2);
  CHECK(ctx.operations() == 3.5);
  ctx.forget_operations();
  CHECK(ctx.operations() == 0);
}

}  // namespace context_test
