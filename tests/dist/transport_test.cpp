#include <flamingo/dist/transport.hpp>

#include <array>
#include <catch2/catch.hpp>

#include "dist/threads.hpp"

namespace transport_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("one process gathers what it has", "[dist]") {
  dist::OneProcess alone;
  const std::array numbers{3, 1, 4};
  CHECK(dist::gather(alone, std::span<const int>(numbers)) == std::vector{3, 1, 4});
  CHECK(dist::gather(alone, std::span<const int>()).empty());
  dist::meet(alone);
  std::array<std::byte, 2> to{};
  const std::array<std::span<std::byte>, 1> receive{std::span<std::byte>(to)};
  CHECK_THROWS_WITH(dist::gather(alone, std::as_bytes(std::span(numbers)), receive),
                    "[transport] one process sends itself what it receives");
}

TEST_CASE("several gather in the order of ranks", "[dist]") {
  on_threads(3, [](dist::Transport& transport) {
    const std::array own{transport.rank(), 10 * transport.rank()};
    const auto all = dist::gather(transport, std::span<const int>(own));
    dist::meet(transport);
    check(all == std::vector{0, 0, 1, 10, 2, 20}, "gather", "other numbers");
  });
}

}  // namespace transport_test
