// Rows with fewer gated blocks than the base.
#include "ablations/mini.hpp"

using namespace flamingo;
using namespace flamingo::test;

namespace {
template <auto C, class Row>
void run(const Row& row) {
  run_row<C, connector_and_rows>(row, sight_by(C.vision));
}
constexpr auto& base = presets::flamingo_mini;
}  // namespace

TEST_CASE("rows of other frequency learn", "[.all][ablations]") {
  using namespace presets::ablations;
  run<single_in_the_middle(base).config>(single_in_the_middle(base));
  run<every_fourth(base).config>(every_fourth(base));
  run<every_second(base).config>(every_second(base));
}
