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

TEST_CASE("moments of few bits learn what full ones do", "[.all][ablations]") {
  constexpr auto& base = presets::flamingo_mini;
  const auto row = presets::ablations::baseline(base);
  const Sight sight = sight_by(base.vision);
  const MiniBatch held = held_out(sight);
  const auto after = [&](MomentFormat format) {
    MiniRun<base, connector_and_rows> run(row.lm_data, {.moments = format, .group = groups_of(row.lm_rate)});
    draw_for_width(run.trainer.weights);
    const double before = run.trainer.pass(held, 0).loss;
    for (int step = 0; step < mini_steps; ++step) run.trainer.update(mixture_of(row, sight), row.mixing);
    const double loss = run.trainer.pass(held, 0).loss;
    std::printf("moments %-8s %8.4f %8.4f\n", std::string(name_of(format)).c_str(), before, loss);
    return std::pair(before, loss);
  };
  const auto [before, full] = after(MomentFormat::full);
  REQUIRE(full < before);
  for (const MomentFormat format : {MomentFormat::bf16, MomentFormat::block8}) {
    INFO(name_of(format));
    CHECK(std::abs(after(format).second - full) < 0.05 * (before - full));
  }
}
