#include <flamingo/core/arena.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <utility>

namespace arena_test {

using namespace flamingo;

TEST_CASE("an arena's two ends grow towards each other in steps of 64 bytes", "[arena]") {
  alignas(Arena::alignment) std::array<std::byte, 1024> memory;
  Arena arena(memory.data(), memory.size());
  CHECK(arena.keep(1) == memory.data());
  CHECK(arena.keep(65) == memory.data() + 64);
  CHECK(arena.kept() == 192);
  CHECK(arena.scratch(100) == memory.data() + 1024 - 128);
  CHECK(arena.scratched() == 128);
  CHECK(arena.peak() == 320);

  const std::size_t mark = arena.kept();
  arena.keep(200);
  CHECK(arena.peak() == 576);
  arena.release(mark);
  arena.release_scratch(0);
  CHECK(arena.kept() == 192);
  CHECK(arena.scratched() == 0);
  CHECK(arena.peak() == 576);
  arena.forget_peak();
  CHECK(arena.peak() == 192);
  CHECK(arena.keep(0) == memory.data() + 192);
  CHECK(arena.kept() == 192);
}

TEST_CASE("a full arena says what was asked for, and stays as it was", "[arena]") {
  alignas(Arena::alignment) std::array<std::byte, 1000> memory;
  Arena arena(memory.data(), memory.size());
  CHECK(arena.capacity() == 960);
  arena.keep(128);
  arena.scratch(64);
  CHECK_THROWS_WITH(arena.keep(769),
                    "[arena] out of memory: 769 bytes asked for, 768 of 960 left; give the context a "
                    "larger arena");
  CHECK_THROWS_AS(arena.scratch(static_cast<std::size_t>(-1)), Error);  // rounding up must not wrap around
  CHECK(arena.kept() + arena.scratched() == 192);
  CHECK(arena.keep(768) == memory.data() + 128);
  CHECK_THROWS_AS(arena.scratch(1), Error);
}

TEST_CASE("an arena of nothing counts", "[arena]") {
  Arena arena(nullptr, std::size_t{1} << 60);
  CHECK(arena.keep(std::size_t{1} << 50) == nullptr);
  CHECK(arena.scratch(100) == nullptr);
  CHECK(arena.peak() == (std::size_t{1} << 50) + 128);
}

TEST_CASE("an address range costs memory only once touched", "[arena]") {
  AddressRange range(std::size_t{1} << 36);  // more than there is
  CHECK(range.size() == std::size_t{1} << 36);
  std::memset(range.data() + (std::size_t{1} << 35), 7, 100);
  std::byte* data = range.data();
  AddressRange moved = std::move(range);
  CHECK(moved.data() == data);
  CHECK(range.data() == nullptr);
  CHECK(moved.data()[(std::size_t{1} << 35) + 99] == std::byte{7});
  CHECK_THROWS_WITH(AddressRange(std::size_t{1} << 62),
                    "[arena] the system refused 4611686018427387904 bytes of address space");
}

TEST_CASE("pieces of weights are aligned, apart, zero, and stay where they are", "[arena]") {
  Pieces pieces;
  constexpr std::size_t range = std::size_t{64} << 20;
  std::byte* first = pieces.take(100);
  CHECK(reinterpret_cast<std::uintptr_t>(first) % AddressRange::large_page == 0);
  CHECK(pieces.take(1) == first + 128);
  CHECK(pieces.take(range - 192) == first + 192);  // up to the range's last byte
  std::byte* second = pieces.take(1);
  CHECK((second < first || second >= first + range));
  std::byte* large = pieces.take(range + 1);  // more than a range of the usual size
  CHECK((large[0] == std::byte{0} && large[range] == std::byte{0}));
  std::memset(first, 7, 100);
  std::memset(large, 9, range / 1000);
  Pieces moved = std::move(pieces);
  CHECK(first[99] == std::byte{7});
  CHECK(moved.take(range) != large);
}

}  // namespace arena_test
