// Rows whose text sees all previous images.
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

TEST_CASE("rows that attend to all previous images learn", "[.all][ablations]") {
  using namespace presets::ablations;
  run<all_previous(base).config>(all_previous(base));
  run<all_previous_indexed(base).config>(all_previous_indexed(base));
}
