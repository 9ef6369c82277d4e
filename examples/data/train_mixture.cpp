// Trains a mini Flamingo, every part of it from nothing, on what examples/data/shards made: an update sums the
// gradients of a batch of pages, one of pairs and one of videos with the paper's weights. Killed, it goes on when
// called again, bit for bit. --help tells the options.
#include <flamingo/train/checkpoint.hpp>

#include <flamingo/cpu.hpp>
#include <flamingo/data/loader/mixture.hpp>
#include <flamingo/data/media/image_reader.hpp>
#include <flamingo/data/media/video_file.hpp>
#include <flamingo/io/image_codecs.hpp>
#include <flamingo/model/vision/encoder.hpp>
#include <flamingo/model/vision/preprocess.hpp>
#include <flamingo/train/batch_file.hpp>
#include <flamingo/train/progress.hpp>
#include <flamingo/training_plan.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace flamingo;
using P = Cpu<float>;

/// A token is a byte or a tag, so 256 of the paper's tokens are about 1024 of these.
constexpr int bytes_a_token = 4;
constexpr FlamingoConfig<Vit, Llama> config{
    .vision = {.image = 64, .patch = 8, .dim = 64, .layers = 2, .heads = 2},
    .resampler = {.dim = 64, .latents = 8, .layers = 2, .heads = 2, .head_dim = 32},
    .xattn = {.every = 2, .heads = 2, .head_dim = 32, .widening = 2},
    .lm = {.dim = 96,
           .layers = 4,
           .heads = 3,
           .kv_heads = 3,
           .hidden = 256,
           .vocabulary = 256 + 4,
           .context = 256 * bytes_a_token,
           .tied = true}};
using Trains = Trainer<config, P, Nothing, TrainedParts{.lm = true, .vision = true}>;
using Encoder = EncoderOf<config.vision, P>::type;

io::Tokenizer bytes_and_tags() {
  io::Vocabulary vocabulary;
  for (int byte = 0; byte < 256; ++byte) {
    std::array<char, 8> name{};
    std::snprintf(name.data(), name.size(), "<0x%02X>", static_cast<unsigned>(byte));
    vocabulary.tokens.emplace_back(name.data());
  }
  for (const char* tag : {"<BOS>", "<image>", "<EOC>", "<EOS>"}) {
    const auto id = static_cast<std::int32_t>(vocabulary.tokens.size());
    vocabulary.added.push_back({.id = id, .text = tag, .special = true});
    vocabulary.tokens.emplace_back(tag);
  }
  vocabulary.byte_level = false;
  vocabulary.byte_fallback = true;
  vocabulary.decoding = {.byte_level = false, .byte_tokens = true};
  return io::Tokenizer(vocabulary);
}

struct Options {
  std::filesystem::path data, out;
  int steps = 120, every = 30, threads = 1, readers = 1;
};
constexpr const char* usage =
    "train_mixture DATA OUT   DATA: the folder of examples/data/shards; OUT gets state.safetensors\n"
    "  --steps N     length of the schedule (120)\n"
    "  --every N     steps from one look at what is held out, and one saved state, to the next (30)\n"
    "  --threads N   that compute (1)\n"
    "  --readers N   that read each dataset (1)\n";

Options parse(int count, char** words) {
  check(count >= 3 && count % 2 == 1, "train_mixture", usage);
  Options options{.data = words[1], .out = words[2]};
  for (int i = 3; i < count; i += 2) {
    const std::string_view name = words[i];
    int* field = name == "--steps"     ? &options.steps
                 : name == "--every"   ? &options.every
                 : name == "--threads" ? &options.threads
                 : name == "--readers" ? &options.readers
                                       : nullptr;
    check(field != nullptr, "train_mixture", "there is no option ", name, '\n', usage);
    *field = std::atoi(words[i + 1]);
    check(*field > 0, "train_mixture", name, " is ", words[i + 1], ", expected a positive number");
  }
  return options;
}

/// The three datasets with the paper's windows and weights (M3W 1, ALIGN and LTIP 0.2, VTP 0.03).
constexpr std::array<std::string_view, 3> names{"pages", "pairs", "videos"};
constexpr std::array<double, 3> weights{1, 0.2, 0.03};

DatasetOptions dataset(std::size_t which, const std::filesystem::path& folder, int readers) {
  DatasetOptions options{.name = std::string(names.at(which)), .shards = folder / names.at(which)};
  options.window = which == 0 ? WindowOptions::pages(256 * bytes_a_token) : WindowOptions::pairs(64 * bytes_a_token);
  options.batch = {.documents = which == 0 ? 2 : which == 1 ? 16 : 4};
  options.image = {.side = config.vision.image};
  options.moving_gifs = which == 2;
  options.seed = which + 1;
  options.buffer = 1024;
  options.threads = readers;
  return options;
}

/// Pictures as the encoder takes them, and which rows of its features each medium has.
TrainingBatch<float> batch_of(LoadedBatch loaded) {
  TrainingBatch<float> batch;
  int rows = 0;
  for (const LoadedMedium& medium : loaded.media) {
    const int first = rows;
    for (int f = 0; f < medium.frames; ++f) {
      const io::Image& frame = loaded.frames[static_cast<std::size_t>(medium.first_frame + f)];
      const Grid grid{static_cast<int>(batch.pixels.size() / 3), frame.height, frame.width};
      const std::vector<float> pixels = scaled_rows(frame, PixelScale::imagenet());
      batch.pixels.insert(batch.pixels.end(), pixels.begin(), pixels.end());
      batch.pictures.push_back(grid);
      rows += Encoder::features(grid).rows();
    }
    batch.media.push_back({first, rows - first, medium.frames, medium.place});
  }
  batch.sequences = std::move(loaded.sequences);
  return batch;
}

/// Some batches of each dataset that are held out, and the mean loss on them.
struct HeldOut {
  std::array<std::vector<TrainingBatch<float>>, 3> batches;

  HeldOut(const std::filesystem::path& folder, const io::Tokenizer& tokenizer, const Tags& tags,
          const MediaReaders& readers) {
    for (std::size_t d = 0; d < names.size(); ++d) {
      DatasetOptions options = dataset(d, folder, 0);
      options.epochs = 1;
      options.clip_place = 0.5;
      Loader loader(options, tokenizer, tags, readers);
      while (batches[d].size() < 6)
        if (auto loaded = loader.next())
          batches[d].push_back(batch_of(std::move(*loaded)));
        else
          break;
    }
  }
  io::Json::Object losses(Trains& trainer) const {
    io::Json::Object report{{"step", static_cast<std::int64_t>(trainer.optimizer.steps())}};
    for (std::size_t d = 0; d < names.size(); ++d) {
      double sum = 0, tokens = 0;
      for (const TrainingBatch<float>& batch : batches[d]) {
        const LossReport one = trainer.pass(batch, 0);
        sum += one.loss * one.tokens;
        tokens += one.tokens;
      }
      report.push_back({std::string(names.at(d)), sum / tokens});
    }
    return report;
  }
};

int run(const Options& o) {
  const io::Tokenizer tokenizer = bytes_and_tags();
  const Tags texts = Tags::of(tokenizer, "<BOS>", "<image>", "<EOC>", "<EOS>");
  const MediaReaders readers{.image = image_reader<io::Codecs>(), .video = video_reader()};
  Mixture mixture;
  for (std::size_t d = 0; d < names.size(); ++d)
    mixture.add(std::make_unique<Loader>(dataset(d, o.data / "shards", o.readers), tokenizer, texts, readers),
                weights.at(d));
  const HeldOut held_out(o.data / "held_out", tokenizer, texts, readers);

  Context<P> ctx(o.threads);
  Trains trainer(ctx, /*seed=*/1,
                 {.peak = 3e-3, .warmup = 10, .shape = Schedule::Shape::cosine, .steps = o.steps, .floor = 0.1},
                 {.group = groups_of(1)});
  const Workload pages{.sequences = 2, .tokens = 256 * bytes_a_token, .media = 5};
  std::cerr << "memory, with a batch of pages:\n" << training_plan(trainer, pages).text();
  std::filesystem::create_directories(o.out);
  trainer.refused = keep_refused<float>(o.out);
  const std::filesystem::path state = o.out / "state.safetensors";
  if (std::filesystem::exists(state)) {
    const long step = load_checkpoint(state, trainer);
    mixture.restore(io::Json::parse(checkpoint_note(state, "data")));
    std::cerr << "going on after step " << step << '\n';
  }
  std::vector<DatasetStream<float>> streams;
  for (std::size_t d = 0; d < names.size(); ++d)
    streams.push_back(
        {std::string(names.at(d)), weights.at(d), [&mixture, d](long) { return batch_of(*mixture[d].next()); }});

  const long begun = trainer.optimizer.steps();
  if (begun == 0) std::cout << io::Json(held_out.losses(trainer)).dump() << std::endl;
  Progress progress(std::cerr, "step", o.steps);
  while (trainer.optimizer.steps() < o.steps) {
    const UpdateReport update = trainer.update(streams);
    const long step = trainer.optimizer.steps();
    std::string losses;
    for (std::size_t d = 0; d < names.size(); ++d)
      losses += std::string(names.at(d)) + ' ' + std::to_string(update.datasets.at(d).loss).substr(0, 5) + "  ";
    progress.report(step, losses, begun);
    if (step % o.every != 0 && step != o.steps) continue;
    save_checkpoint(state, trainer, {{"data", mixture.state().dump()}});
    std::cout << io::Json(held_out.losses(trainer)).dump() << std::endl;
  }
  for (std::size_t d = 0; d < names.size(); ++d) std::cerr << names.at(d) << ": " << mixture[d].state().dump() << '\n';
  return 0;
}

}  // namespace

int main(int count, char** words) try {
  if (count == 2 && std::string_view(words[1]) == "--help") {
    std::cout << usage;
    return 0;
  }
  return run(parse(count, words));
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
