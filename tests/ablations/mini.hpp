/// A row of the ablation table at mini size: its gradient against finite differences, then 500 steps that must lower
/// the loss of what is held out.
#pragma once
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/cpu.hpp>

#include "ablations/task.hpp"
#include "support/layer.hpp"

namespace flamingo::test {

using MiniLm = DecoderOf<presets::flamingo_mini.lm, P>;
inline constexpr int mini_steps = 500;

/// The decoder after 300 steps on texts alone, "MassiveText" or "C4": what all rows but those from scratch begin with
/// (lm.cpp).
const Store<MiniLm, P>& pretrained_lm(std::string_view data);

inline Sight pixel_sight(int cells) { return {&packaged_pictures(), nullptr, cells}; }

/// A trainer of a row's kind. Everything trained begins as new but what `begin` changes.
template <auto C, TrainedParts parts>
struct MiniRun {
  using Trains = Trainer<C, P, typename Store<MiniLm, P>::Views, parts>;
  Context<P> ctx{1, std::size_t{1} << 30};
  Trains trainer;

  MiniRun(std::string_view lm_data, OptimizerOptions options)
      : trainer(ctx, pretrained_lm(lm_data).views, 7, {.peak = 3e-3, .warmup = 20}, std::move(options)) {}
};

/// New matrices as their widths ask: the layers' own 0.02 suits a thousand features; of 32 it passes next to nothing
/// on.
template <class Layer>
void draw_for_width(Store<Layer, P>& weights) {
  auto widen = [](const Spec& spec, auto& w) {
    if (spec.role != Role::matrix || spec.init.kind != Init::Kind::normal) return;
    if (std::string_view(spec.name).starts_with("vision.")) return;  // they know their fan-in
    const double by = 1 / (std::sqrt(spec.columns) * static_cast<double>(spec.init.deviation));
    for (std::size_t i = 0; i < spec.size(); ++i) w.data[i] *= by;
  };
  Layer::each(widen, weights.views);
}

/// Gradients of a small batch of the row's own mixture, from drawn weights. relu² bends where a number passes 0:
/// differences across that miss its derivative by the step, which is why the bound is wider than a smooth layer's.
template <class Run, class Row>
void check_gradient(Run& run, const Row& row, const Sight& sight) {
  using Trains = typename Run::Trains;
  MiniBatch batch;
  for (int i = 0; i < row.data.count; ++i)
    batch.append(documents(sight, row.data.shares[static_cast<std::size_t>(i)].dataset, 99, 1, row.p_next));
  Trains& trainer = run.trainer;
  trainer.weights = drawn<typename Trains::Layer, P>(53);
  trainer.gradients.clear();
  trainer.pass(batch, 1);
  check_weight_directions(
      trainer.weights, trainer.gradients, [&] { return trainer.pass(batch, 0).loss; }, 10);
}

/// A row's datasets with their weights.
template <class Row>
std::vector<DatasetStream<double>> mixture_of(const Row& row, const Sight& sight) {
  std::vector<DatasetStream<double>> mixture;
  for (int i = 0; i < row.data.count; ++i) {
    const presets::Share share = row.data.shares[static_cast<std::size_t>(i)];
    mixture.push_back({std::string(share.dataset), share.weight, [=](long step) {
                         return documents(sight, share.dataset, static_cast<std::uint64_t>(step), mini_count(share),
                                          row.p_next);
                       }});
  }
  return mixture;
}

/// Runs one row, and prints the loss of what is held out before and after, and after with other documents' pictures;
/// `begin(trainer)` may change what the run begins with, `end(trainer)` sees what it ends with.
template <auto C, TrainedParts parts, class Row, class Begin, class End>
void run_row(const Row& row, const Sight& sight, const Begin& begin, const End& end) {
  INFO(std::string(row.row) << ": " << std::string(row.changed_to));
  REQUIRE(row.trained == parts);
  {
    MiniRun<C, parts> run(row.lm_data, {});
    check_gradient(run, row, sight);
  }
  MiniRun<C, parts> run(row.lm_data, {.group = groups_of(row.lm_rate)});
  draw_for_width(run.trainer.weights);
  begin(run.trainer);
  const auto mixture = mixture_of(row, sight);
  const MiniBatch held = held_out(sight);
  const double before = run.trainer.pass(held, 0).loss;
  for (int step = 0; step < mini_steps; ++step) run.trainer.update(mixture, row.mixing);
  const double after = run.trainer.pass(held, 0).loss, swapped = run.trainer.pass(held_out(sight, 1), 0).loss;
  std::printf("%-28s %-42s %8.3f %8.3f %8.3f\n", std::string(row.row).c_str(), std::string(row.changed_to).c_str(),
              before, after, swapped);
  std::fflush(stdout);
  CHECK(after < before);
  end(run.trainer);
}
template <auto C, TrainedParts parts, class Row>
void run_row(const Row& row, const Sight& sight) {
  run_row<C, parts>(
      row, sight, [](auto&) {}, [](auto&) {});
}
inline constexpr TrainedParts connector_and_rows{.added_rows = true};

}  // namespace flamingo::test
