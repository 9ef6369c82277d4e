#include <flamingo/config/presets/ablations.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <string>

#include <flamingo/model/parameter_counts.hpp>

namespace ablations_test {

using namespace flamingo;
using namespace flamingo::presets;

namespace {

/// Each row's total is the printed one to 0.1 B, and rounds to it but where `off` says so.
template <class Table>
void check_totals(const Table& table) {
  for (const auto& a : table) {
    INFO(std::string(a.row) << ": " << std::string(a.changed_to));
    const double billions = static_cast<double>(parameter_count_of(a.config)) / 1e9;
    CAPTURE(billions, a.billions);
    CHECK(std::abs(billions - a.billions) <= 0.1);
  }
}
double billions(const Paper& c) { return std::round(static_cast<double>(parameter_count_of(c)) / 1e7) / 100; }

}  // namespace

TEST_CASE("every row of the ablation table has the printed total at full size", "[presets][ablations]") {
  CHECK(ablations_3b.size() + clip_ablations_3b.size() == 32);  // the table's 31, and one that the text tells of
  check_totals(ablations_3b);
  check_totals(clip_ablations_3b);
  using namespace ablations;
  CHECK(billions(flamingo_3b) == 3.22);
  CHECK(billions(vanilla_xattn(flamingo_3b).config) == 2.41);
  CHECK(billions(grafting(flamingo_3b).config) == 3.27);
  CHECK(billions(single_in_the_middle(flamingo_3b).config) == 2.06);
  CHECK(billions(every_fourth(flamingo_3b).config) == 2.31);
  CHECK(billions(every_second(flamingo_3b).config) == 2.61);
  CHECK(billions(small_nfnet(flamingo_3b, nfnet_f0).config) == 2.85);
  CHECK(billions(mlp_resampler(flamingo_3b).config) == 3.22);
  CHECK(billions(transformer_resampler(flamingo_3b).config) == 3.22);
}

TEST_CASE("rows differ from the base in what they name alone", "[presets][ablations]") {
  const auto rows = [](std::string_view row) {
    return std::count_if(ablations_3b.begin(), ablations_3b.end(), [&](const auto& a) { return a.row == row; });
  };
  CHECK((rows("training data") == 5 && rows("frequency") == 3 && rows("Resampler size") == 2));
  CHECK(ablations::single_in_the_middle(flamingo_3b).config.gated(12));
  CHECK(ablations::single_in_the_middle(flamingo_3b).config.gated_blocks() == 1);
  CHECK(ablations::grafting(flamingo_3b).config.gated_blocks() == 12);
  CHECK(ablations::grafting(flamingo_3b).config.first_gated() == 24);
  const auto cotrained = ablations::lm_cotrained(flamingo_3b, false);
  CHECK((cotrained.trained.lm && !cotrained.lm_from_scratch && cotrained.lm_rate == 0.1 && cotrained.data.count == 5));
  CHECK(ablations::without_m3w(flamingo_3b).data.shares[0].dataset == "ALIGN");
  CHECK(ablations::round_robin(flamingo_3b).mixing == Mixing::round_robin);
  CHECK(ablations::without_gates(flamingo_3b).config.xattn.gate == Gate::none);
}

}  // namespace ablations_test
