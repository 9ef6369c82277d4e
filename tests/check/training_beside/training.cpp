// Trains the model that peer.py wrote, on the batches that it wrote, and compares each step's losses with those there:
//
//   training FOLDER [THREADS]
//
// The exit status is 0 where they agree within 1e-3 relative at every step.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/model/load.hpp>
#include <flamingo/train/trainer.hpp>

#include "check/golden.hpp"
#include "check/pictures.hpp"
#include "peers/open_flamingo.hpp"

namespace {

using namespace flamingo;
using flamingo::bench::P;

/// Two added tokens, as peer.py explains; open_clip 3 gives its tokens after the last norm.
constexpr bench::OpenFlamingo config = [] {
  bench::OpenFlamingo c = bench::of_mini;
  c.lm.vocabulary += c.lm.added - 2;
  c.lm.added = 2;
  c.vision.post_norm = true;
  return c;
}();
constexpr int image_id = config.lm.vocabulary + 1;
constexpr double tolerance = 1e-3;

using Model = model::Flamingo<config, P>;
using Decoder = Model::Decoder;
using Vision = Encoder<config.vision, P>;
using Training = Trainer<config, P, Store<Decoder, P>::Views, TrainedParts{.added_rows = true}>;
using Batch = TrainingBatch<float>;

/// The batches of peer.py, with the features of their pictures.
class Batches {
 public:
  explicit Batches(const std::filesystem::path& path) : file_(path) {}

  template <class Weights>
  void see(Context<P>& ctx, const Weights& vision) {
    const test::GoldenPictures<float> pictures(file_.at("pictures"));
    features_.resize(pictures.grids.size() * picture_size);
    Vision::template forward<no_gradients>(ctx, vision, pictures.rows<P>(), pictures.grids,
                                           Rows<P, Vision::D>{features_.data(), all_cells(), {}});
  }
  std::vector<double> losses(const std::string& dataset) const {
    return test::numbers<double>(file_.at(dataset + ".loss"));
  }
  /// Steps count from 1.
  Batch batch(const std::string& dataset, long step) const {
    const auto named = [&](const char* what) -> const io::TensorView& {
      return file_.at(dataset + "." + std::to_string(step) + "." + what);
    };
    const test::PaddedBatch text(named("ids"), test::numbers<int>(named("mask")));
    const auto labels = test::numbers<int>(named("labels")), pictures = test::numbers<int>(named("pictures"));
    const auto per_row = static_cast<int>(named("pictures").shape[1]);
    Batch b;
    for (int m = 0; m < static_cast<int>(pictures.size()); ++m) {
      const auto first = features_.begin() + pictures[static_cast<std::size_t>(m)] * std::ptrdiff_t{picture_size};
      b.features.insert(b.features.end(), first, first + picture_size);
      b.media.push_back({m * Vision::S, Vision::S, 1, m % per_row});
    }
    for (std::size_t r = 0; r < text.sequences.size(); ++r) {
      const std::vector<int>& ids = text.sequences[r];
      b.sequences.push_back(
          {ids, phi_of_tags(ids, image_id), text.targets(r, labels), static_cast<int>(r) * per_row, per_row});
    }
    return b;
  }

 private:
  static constexpr int picture_size = Vision::S * Vision::D;
  int all_cells() const { return static_cast<int>(features_.size()) / Vision::D; }

  io::Safetensors file_;
  std::vector<float> features_;
};

int run(const std::filesystem::path& folder, int threads) {
  Context<P> ctx(threads);
  Batches batches(folder / "training.safetensors");
  const io::Checkpoint file(folder / "model.safetensors");
  const ModelNames names = published_names(config, file);
  LoadReport report(file.path().string());
  Store<Decoder, P> lm;
  load_numbers<Decoder>(file, lm.views, names.lm, &report);
  // open_flamingo's groups: decay on the gated blocks alone.
  Training trainer(ctx, lm.views, 1, {.peak = 1e-3, .warmup = 20}, {.group = [](const Spec& spec) {
                     return Group{1, std::string_view(spec.name).starts_with("gated.") ? 0.1 : 0.0};
                   }});
  load_numbers<Training::Layer>(file, trainer.weights.views, names.connector.with(names.lm.within("lm.", "")), &report);
  Store<Vision, P> vision;
  load_numbers<Vision>(file, vision.views, names.vision, &report);
  report.look_for_unexpected(file, names.vision.with(names.connector).with(names.lm));
  report.finish();
  batches.see(ctx, vision.views);

  std::vector<DatasetStream<float>> mixture;
  std::vector<std::vector<double>> theirs;
  for (const auto& [name, weight] : {std::pair("laion", 0.2), std::pair("mmc4", 1.0)}) {
    theirs.push_back(batches.losses(name));
    mixture.push_back({name, weight, [&batches, name = std::string(name)](long s) { return batches.batch(name, s); }});
  }
  double most = 0;
  std::puts("step    laion      peer       mmc4      peer   largest relative difference so far");
  for (std::size_t step = 0; step < theirs[0].size(); ++step) {
    const UpdateReport update = trainer.update(mixture);
    std::printf("%4zu", step + 1);
    for (std::size_t m = 0; m < theirs.size(); ++m) {
      const double ours = update.datasets[m].loss, peer = theirs[m][step];
      most = std::max(most, std::abs(ours - peer) / std::abs(peer));
      std::printf("  %.6f  %.6f", ours, peer);
    }
    std::printf("  %.1e\n", most);
  }
  const bool agrees = !theirs[0].empty() && most <= tolerance;
  std::printf("%zu steps %s: largest relative difference of a loss %.1e, expected at most %.0e\n", theirs[0].size(),
              agrees ? "agree" : "DIFFER", most, tolerance);
  return agrees ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: training FOLDER [THREADS]\n";
    return 2;
  }
  try {
    return run(argv[1], argc > 2 ? std::atoi(argv[2]) : 1);
  } catch (const std::exception& error) {
    std::cerr << "training: " << error.what() << '\n';
    return 1;
  }
}
