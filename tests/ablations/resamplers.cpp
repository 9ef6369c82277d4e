// Rows whose Resampler differs from the base.
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

TEST_CASE("rows of other Resamplers learn", "[.all][ablations]") {
  using namespace presets::ablations;
  run<mlp_resampler(base).config>(mlp_resampler(base));
  run<transformer_resampler(base).config>(transformer_resampler(base));
  run<small_resampler(base).config>(small_resampler(base));
  run<large_resampler(base).config>(large_resampler(base));
}
