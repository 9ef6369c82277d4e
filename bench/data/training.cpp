// What loading costs a training step: training SHARDS TOKENIZER [threads]. Updates of ten captions each, whose pictures
// come from the loader or are there already, in turns.
#include <flamingo/train/trainer.hpp>

#include <flamingo/cpu.hpp>
#include <flamingo/data/loader/loader.hpp>
#include <flamingo/data/media/image_reader.hpp>
#include <flamingo/io/gguf.hpp>
#include <flamingo/io/image_codecs.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "support/models.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

double processor_time() {
  std::timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

int main(int count, char** words) try {
  check(count >= 3, "training", "usage: training SHARDS TOKENIZER [threads]");
  using Q = bench::P;
  using Lm = DecoderOf<sizes.lm, Q>;
  static const Store<Lm, Q> lm;
  Context<Q> ctx(count > 3 ? std::atoi(words[3]) : 1);
  Trainer<sizes, Q, Store<Lm, Q>::Views> trainer(ctx, lm.views, 1, {});
  const io::Tokenizer tokenizer = io::Tokenizer::from_gguf(io::Gguf(words[2]));
  DatasetOptions options{.name = "pairs", .shards = words[1], .window = WindowOptions::pairs(32)};
  options.batch = {.documents = 10};
  options.image = {.side = 160};
  Loader loader(options, tokenizer, Tags::of(tokenizer, "", " image", "."),
                {.image = image_reader<io::Codecs>(), .video = {}});

  // The frozen encoder's features stand for themselves: what is compared is reading the pictures or not.
  const auto batch_of = [](const LoadedBatch& loaded) {
    TrainingBatch<float> batch;
    batch.features.assign(loaded.media.size() * 25 * 1280, 0.5f);
    for (std::size_t m = 0; m < loaded.media.size(); ++m) batch.media.push_back({25 * static_cast<int>(m), 25, 1, 0});
    batch.sequences = loaded.sequences;
    return batch;
  };
  std::vector<double> shares, waits;
  long tokens = 0;
  for (int turn = 0; turn < 12; ++turn) {
    const double before = loader.waited(), begun = processor_time();
    const auto start = std::chrono::steady_clock::now();
    const LoadedBatch loaded = *loader.next();
    const TrainingBatch<float> batch = batch_of(loaded);
    tokens += loaded.tokens();
    trainer.update({{"pairs", 1, [&](long) { return batch; }}});
    const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const double with = processor_time() - begun;
    if (turn == 0) continue;  // threads start, memory is touched, the loader reads ahead
    waits.push_back((loader.waited() - before) / wall);
    // The same update once more, with nothing to load; the reader is full and sleeps.
    const double again = processor_time();
    trainer.update({{"pairs", 1, [&](long) { return batch; }}});
    const double without = processor_time() - again;
    shares.push_back(with / without - 1);
  }
  std::sort(shares.begin(), shares.end());
  std::sort(waits.begin(), waits.end());
  std::printf(
      "%.0f tokens an update; loading took %+.2f %% of the step's processor time (median of %zu), the trainer waited "
      "for "
      "%.3f %% of its wall time\n",
      static_cast<double>(tokens) / 12, 100 * shares[shares.size() / 2], shares.size(), 100 * waits[waits.size() / 2]);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
