// Rows of other encoders.
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

TEST_CASE("rows of other encoders learn", "[.all][ablations]") {
  using namespace presets::ablations;
  constexpr auto small = small_nfnet(base, presets::nfnet_mini_f0);
  run<small.config>(small);
  constexpr auto seen = clip(base, presets::vit_mini);
  run<seen.config>(seen);
  run<seen.config>(public_pairs(base, presets::vit_mini));
  run<seen.config>(public_mixture(base, presets::vit_mini));
}
