// Rows whose conditioning differs from the base.
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

TEST_CASE("rows of other conditioning learn", "[.all][ablations]") {
  using namespace presets::ablations;
  run<without_gates(base).config>(without_gates(base));
  run<vanilla_xattn(base).config>(vanilla_xattn(base));
  run<grafting(base).config>(grafting(base));
}
