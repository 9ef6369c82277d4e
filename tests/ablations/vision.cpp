// Rows that train the encoder in the step. Pretrained is what the run from scratch ended with.
#include <flamingo/model/vision/encoder.hpp>

#include "ablations/mini.hpp"

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("rows that train the encoder learn", "[.all][ablations]") {
  using namespace presets::ablations;
  constexpr auto& base = presets::flamingo_mini;
  constexpr TrainedParts parts{.added_rows = true, .vision = true};
  using Layer = MiniRun<base, parts>::Trains::Layer::Vision;
  Store<Layer, P> learnt;
  const auto copy = [](const auto& from, auto& to) {
    auto each = [](const Spec& spec, const auto& a, auto& b) { std::copy_n(a.data, spec.size(), b.data); };
    Layer::each(each, from, to);
  };
  const Sight sight = pixel_sight(4);
  run_row<base, parts>(
      vision_trained(base, true), sight, [](auto&) {},
      [&](auto& trainer) { copy(trainer.weights.views.vision, learnt.views); });
  run_row<base, parts>(
      vision_trained(base, false), sight, [&](auto& trainer) { copy(learnt.views, trainer.weights.views.vision); },
      [](auto&) {});
}
