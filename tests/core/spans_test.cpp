#include <flamingo/core/spans.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <type_traits>

namespace spans_test {

using namespace flamingo;

TEST_CASE("span tables are plain numbers, so that they can be copied to a device", "[spans]") {
  static_assert(std::is_trivially_copyable_v<Span> && std::is_trivially_copyable_v<Segment>);
  static_assert(sizeof(Span) == 6 * sizeof(int) && sizeof(Segment) == 5 * sizeof(int));
  const std::array spans{Span{.rows = 3}, Span{.first_row = 3, .rows = 2}};
  const std::array<Segment, 0> none{};
  const Spans<Cpu<float>> tables{{spans.data(), {2}}, {none.data(), {0}}};
  CHECK(tables.spans.size() == 2);
  CHECK(tables.segments.size() == 0);
  CHECK(tables.spans.data[1].position == 0);
  CHECK(tables.spans.data[1].uniform == 0);
}

}  // namespace spans_test
