// Rows that train the decoder, and what pretrains it for all others.
#include <map>

#include "ablations/mini.hpp"

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr auto& base = presets::flamingo_mini;
constexpr TrainedParts parts{.lm = true};
using Trains = Trainer<base, P, Store<MiniLm, P>::Views, parts>;

void copy(const auto& from, auto& to) {
  auto each = [](const Spec& spec, const auto& a, auto& b) { std::copy_n(a.data, spec.size(), b.data); };
  MiniLm::each(each, from, to);
}

}  // namespace

namespace flamingo::test {

const Store<MiniLm, P>& pretrained_lm(std::string_view data) {
  static std::map<std::string_view, Store<MiniLm, P>> known;
  Store<MiniLm, P>& learnt = known[data];
  if (std::any_of(learnt.flat.begin(), learnt.flat.end(), [](double x) { return x != 0; })) return learnt;
  Context<P> ctx(1, std::size_t{1} << 30);
  const Store<MiniLm, P> unread;
  // New gates are closed and nothing but the decoder moves, so it is the bare decoder that learns.
  Trains trainer(ctx, unread.views, 3, {.peak = 4e-3, .warmup = 20}, {.group = [](const Spec& spec) {
                   return Group{std::string_view(spec.name).starts_with("lm.") ? 1.0 : 0.0, 0};
                 }});
  draw_for_width(trainer.weights);
  const Sight sight{&packaged_pictures()};
  for (int step = 0; step < 300; ++step)
    trainer.update({{std::string(data), 1,
                     [&](long at) { return documents(sight, data, static_cast<std::uint64_t>(at), 4, 0); }}});
  copy(trainer.weights.views.lm, learnt.views);
  return learnt;
}

}  // namespace flamingo::test

TEST_CASE("rows that train the decoder learn", "[.all][ablations]") {
  using namespace presets::ablations;
  const Sight sight = sight_by(base.vision);
  for (const bool cotrained : {false, true})
    for (const bool from_scratch : {true, false}) {
      const auto row = cotrained ? lm_cotrained(base, from_scratch) : lm_trained(base, from_scratch);
      run_row<base, parts>(
          row, sight,
          [&](auto& trainer) {
            if (!row.lm_from_scratch) copy(pretrained_lm(row.lm_data).views, trainer.weights.views.lm);
          },
          [](auto&) {});
    }
}
