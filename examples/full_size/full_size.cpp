// Runs one of the published models at its full size with random weights, and compares what it takes with what the
// memory plan says: full_size_flamingo_3b [--held float32|bfloat16|int8] [--threads N] [--tokens N] [PICTURE...]
//
// Five pictures of 320 x 320 through the encoder, a prompt of four of them with captions and the fifth without, and 16
// tokens written. The weights say nothing, so the tokens do not either.
#include <array>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "process.hpp"
#include "random_weights.hpp"

#include <flamingo/config/presets/by_name.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/infer/generate.hpp>
#include <flamingo/io/image_file.hpp>
#include <flamingo/memory_plan.hpp>
#include <flamingo/model/vision/processors.hpp>

namespace {

using namespace flamingo;
using full_size::Clock;
using full_size::RandomWeights;
using full_size::status;
using P = Cpu<float>;
constexpr auto config = presets::FLAMINGO_PRESET;
using Model = model::Flamingo<config, P>;
using Vision = Encoder<frozen_encoder(config.vision), P>;

constexpr int shots = 4, caption = 20;  // tokens of a caption

struct Options {
  Format format = Format::bf16;
  int threads = 0, tokens = 16;
  std::vector<std::string> pictures;
};

Options parse(int count, char** words) {
  Options o;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    if (!word.starts_with("--")) {
      o.pictures.emplace_back(word);
      continue;
    }
    check(i + 1 < count, "full_size", word, " has no value");
    const std::string_view value = words[++i];
    if (word == "--threads") {
      o.threads = std::atoi(words[i]);
    } else if (word == "--tokens") {
      o.tokens = std::atoi(words[i]);
    } else {
      check(word == "--held" && (value == "float32" || value == "bfloat16" || value == "int8"), "full_size", word, ' ',
            value, " is not expected; there are --held float32|bfloat16|int8, --threads N and --tokens N");
      o.format = value == "float32" ? Format::f32 : value == "int8" ? Format::int8 : Format::bf16;
    }
  }
  if (o.pictures.empty()) o.pictures = full_size::own_pictures();
  check(o.pictures.size() == shots + 1 && o.tokens > 0, "full_size", o.pictures.size(), " pictures and ", o.tokens,
        " tokens, expected ", shots + 1, " pictures and at least one token");
  return o;
}

/// <BOS>, four times the three pieces of "<image>", a caption and <EOC>, then the last picture's tag and two pieces.
Sequence prompt() {
  Random random(7, 1);
  const auto piece = [&] { return 3 + static_cast<int>(random.uniform() * (config.lm.vocabulary - 3)); };
  const std::array tag{piece(), piece(), piece()};
  Sequence s;
  const auto put = [&](int id) {
    s.ids.push_back(id);
    s.phi.push_back(s.media);
  };
  put(1);
  for (int shot = 0; shot <= shots; ++shot) {
    ++s.media;  // a tag belongs to its own picture
    for (const int id : tag) put(id);
    for (int i = 0; i < (shot < shots ? caption : 2); ++i) put(piece());
    if (shot < shots) put(config.lm.vocabulary);
  }
  return s;
}

void line(const char* what, double seconds) {
  std::printf("  %-44s %8.1f s   memory at most %s\n", what, seconds, detail::bytes_text(status("VmHWM")).c_str());
  std::fflush(stdout);
}

int run(const Options& o) {
  const Sequence asked = prompt();
  const int tokens = static_cast<int>(asked.ids.size()) + o.tokens;
  const Workload work{.tokens = tokens, .media = shots + 1};
  const InferenceMemory plan = inference_memory<config, P>(work, o.tokens);
  const double weights = weight_memory<Vision, P>(o.format).bytes() +
                         weight_memory<Model::Connect, P>(o.format).bytes() +
                         weight_memory<Model::Decoder, P>(o.format).bytes();
  const double before = status("VmRSS"), predicted = before + weights + plan.most();
  std::printf("predicted: weights %s, keys, values and latents %s, workspace %s; with the program's own %s in all %s\n",
              detail::bytes_text(weights).c_str(), detail::bytes_text(plan.caches).c_str(),
              detail::bytes_text(plan.most() - plan.caches).c_str(), detail::bytes_text(before).c_str(),
              detail::bytes_text(predicted).c_str());

  Clock clock;
  const RandomWeights<Vision, P> vision(o.format, Arrangement::rows, 1);
  const RandomWeights<Model::Connect, P> connector(o.format, Arrangement::panels, 2);
  const RandomWeights<Model::Decoder, P> lm(o.format, Arrangement::panels, 3);
  line("weights drawn", clock.seconds());

  Context<P> ctx(o.threads);
  auto engine = make_engine<Model>(ctx, connector.views, lm.views, {.text_rows = tokens, .media = shots + 1});
  const MeanPaddedProcessor processor{.side = config.vision.image};
  std::vector<CachedMedium> media;
  double encoding = 0, resampling = 0;
  for (const std::string& path : o.pictures) {
    const auto pixels = pixel_rows(processor, io::read_raw(path));
    const auto scope = ctx.scope();
    const std::array grid{Grid{0, processor.side, processor.side}};
    const auto features = scratch<Vision::D>(ctx, Vision::features(grid[0]).rows());
    clock = {};
    Vision::forward<no_gradients>(ctx, vision.views, Rows<P, 3, const float>{pixels.data(), grid[0].rows(), {}}, grid,
                                  features);
    encoding += clock.seconds();
    clock = {};
    media.push_back(engine.add_medium(features, 1, static_cast<int>(media.size())));
    resampling += clock.seconds();
  }
  line("5 pictures through the encoder", encoding);
  line("5 pictures resampled, keys and values", resampling);

  auto state = engine.begin(asked, media);
  clock = {};
  std::vector<int> written = generate(engine, state, {.max_new_tokens = 1}).ids;
  line((std::to_string(asked.ids.size()) + " tokens read, one written").c_str(), clock.seconds());
  clock = {};
  for (const int id : generate(engine, state, {.max_new_tokens = o.tokens - 1}).ids) written.push_back(id);
  line((std::to_string(o.tokens - 1) + " more tokens written").c_str(), clock.seconds());
  std::printf("  tokens:");
  for (const int id : written) std::printf(" %d", id);

  const double measured = status("VmHWM");
  std::printf("\nmeasured: %s at most, %s at the end; predicted %s, %+.1f %%\n", detail::bytes_text(measured).c_str(),
              detail::bytes_text(status("VmRSS")).c_str(), detail::bytes_text(predicted).c_str(),
              100 * (predicted / measured - 1));
  return 0;
}

}  // namespace

int main(int count, char** words) try { return run(parse(count, words)); } catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
