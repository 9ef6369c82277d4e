// Rows whose model is the base: data, optimisation, p_next, the decoder's pretraining.
#include "ablations/mini.hpp"

using namespace flamingo;
using namespace flamingo::test;

namespace {
template <class Row>
void run(const Row& row) {
  run_row<presets::flamingo_mini, connector_and_rows>(row, sight_by(presets::flamingo_mini.vision));
}
}  // namespace

TEST_CASE("rows of the base model learn", "[.all][ablations]") {
  using namespace presets::ablations;
  constexpr auto& base = presets::flamingo_mini;
  run(baseline(base));
  run(m3w_only(base));
  run(without_videos(base));
  run(without_pairs(base));
  run(laion_pairs(base));
  run(without_m3w(base));
  run(round_robin(base));
  run(never_next(base));
  run(always_next(base));
  run(c4_lm(base));
}
