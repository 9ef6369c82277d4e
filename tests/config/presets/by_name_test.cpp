#include <flamingo/config/presets/by_name.hpp>

#include <catch2/catch.hpp>
#include <set>
#include <string>

namespace by_name_test {

using namespace flamingo;

TEST_CASE("each preset has a name of its own", "[presets]") {
  std::set<std::string> names;
  int presets = 0;
  each_preset([&](std::string_view name, const auto&) {
    names.insert(std::string(name));
    ++presets;
  });
  CHECK(static_cast<int>(names.size()) == presets);
  CHECK(names.contains("flamingo_80b"));
}

}  // namespace by_name_test
