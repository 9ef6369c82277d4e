// Computes the logits of a fixed prompt with the checkpoint that this program was built for:
//
//   verify FOLDER [--output FILE] [--against FILE] [--threads N]
//
// The prompt needs neither a tokenizer nor an image decoder: token ids and pixels are formulas, written out here and in
// fixed.py beside it. FILE is a safetensors file of `vision` (the encoder's rows) and `logits`; with --against, the
// program fails where its numbers are not those of the file. examples/verify/run does all of it.
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <checkpoint.hpp>

#include "../open/encode.hpp"

#include <flamingo/model/load.hpp>

namespace {

namespace fs = std::filesystem;
using opened::Features, opened::P;

constexpr const char* usage = "usage: verify FOLDER [--output FILE] [--against FILE] [--threads N]\n";

/// Whether the checkpoint is Llama 3.2 Vision's.
template <class Config>
constexpr bool is_tiled = requires(const Config& c) { c.vision.tiles; };

/// The config with the masks of the program that is compared with: transformers' where Llama 3.2 Vision has two.
template <class Config>
constexpr Config as_computed_there(Config c) {
  if constexpr (is_tiled<Config>) c.xattn.before_first = flamingo::NoImage::unmasked;
  return c;
}

constexpr auto config = as_computed_there(checkpoint);
constexpr bool tiled = is_tiled<decltype(checkpoint)>;
constexpr double tolerance = 1e-5;  // ||a - b|| / ||b||

using Loaded = flamingo::LoadedModel<config, P>;
using Model = Loaded::Model;

// --- the fixed prompt, as in fixed.py

constexpr int tokens = 32, pictures = 2;
constexpr std::array<int, pictures> tags{1, 12};  // the places of the image tokens

/// The id of the image token: OpenFlamingo and Idefics add it second, Llama 3.2 Vision first.
constexpr int image_id = config.lm.vocabulary + (tiled ? 0 : 1);
static_assert(config.lm.vocabulary > 3 && image_id < config.lm.vocabulary + config.lm.added);

flamingo::Sequence prompt() {
  flamingo::Sequence s;
  for (int t = 0; t < tokens; ++t) s.ids.push_back(3 + (31 * t * t + 17 * t) % (config.lm.vocabulary - 3));
  for (const int tag : tags) s.ids[static_cast<std::size_t>(tag)] = image_id;
  s.phi = flamingo::phi_of(tags, tokens);
  s.media = pictures;
  return s;
}

/// Pixels as the encoder gets them, (side², 3), of the i-th piece of all pictures.
void add_piece(std::vector<float>& pixels, int i, int side) {
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x)
      for (int c = 0; c < 3; ++c)
        pixels.push_back(static_cast<float>((7 * x + 13 * y + 29 * c + 41 * i + x * y) % 256) / 128 - 1);
}

/// The first picture of Llama 3.2 Vision has two tiles side by side where two may be, the second has one.
template <auto C, class Vision, class Weights>
Features encode(flamingo::Context<P>& ctx, const Weights& weights, int picture) {
  std::vector<float> pixels;
  if constexpr (requires { C.tiles; }) {
    constexpr int wide = C.tiles > 1 ? 2 : 1;
    const int tiles = picture == 0 ? wide : 1;
    for (int t = 0; t < tiles; ++t) add_piece(pixels, picture == 0 ? t : wide, C.image);
    return opened::encode_tiles<C, Vision>(ctx, weights, pixels, {tiles, tiles});
  } else {
    add_piece(pixels, picture, C.image);
    return opened::encode_square<Vision>(ctx, weights, pixels, C.image);
  }
}

// ---

/// Rows of numbers and what they are called in a file.
struct Result {
  std::string name;
  int rows = 0, width = 0;
  std::vector<float> numbers;

  flamingo::io::TensorView view() const {
    return {name, flamingo::io::DType::f32, {rows, width}, std::as_bytes(std::span(numbers))};
  }
};

std::vector<Result> compute(const fs::path& folder, int threads) {
  constexpr int D = Model::D, E = Model::E, R = Model::R, V = Model::V, F = config.resampler.features();
  const Loaded model = flamingo::load<config, P>(folder);
  flamingo::Context<P> ctx(threads);

  Result vision{"vision", 0, F, {}};
  std::vector<flamingo::Medium> media;
  for (int m = 0; m < pictures; ++m) {
    const Features features = encode<config.vision, Loaded::Vision>(ctx, model.vision.views, m);
    media.push_back({.first = vision.rows, .rows = features.count, .place = m, .visible = features.visible});
    vision.rows += features.count;
    vision.numbers.insert(vision.numbers.end(), features.rows.begin(), features.rows.end());
  }

  const auto scope = ctx.scope();
  const auto resampling = flamingo::ResamplerPlan::of(config.resampler, media);
  const auto latents = flamingo::scratch<E>(ctx, pictures * R);
  Model::ResamplerLayer::template forward<flamingo::no_gradients>(
      ctx, model.connector.views.resampler, flamingo::Rows<P, F>{vision.numbers.data(), vision.rows, {}}, resampling,
      latents);

  const std::array sequences{prompt()};
  const auto plan = flamingo::DecoderPlan::of(sequences, config.xattn, R, flamingo::visible_rows(media, R));
  const auto hidden = flamingo::scratch<D>(ctx, tokens);
  Model::template forward<Model::Trained{.connector = false}>(ctx, model.connector.views, model.lm.views, plan, latents,
                                                              hidden);
  Result logits{"logits", tokens, V, std::vector<float>(static_cast<std::size_t>(tokens) * V)};
  Model::Decoder::logits(ctx, model.lm.views, hidden, flamingo::Rows<P, V>{logits.numbers.data(), tokens, {}});
  return {std::move(vision), std::move(logits)};
}

/// ||ours - theirs|| / ||theirs||, printed; whether it is small.
bool agrees(const Result& ours, const flamingo::io::Safetensors& file) {
  std::vector<float> theirs(ours.numbers.size());
  const flamingo::io::TensorView& tensor = file.at(ours.name);
  flamingo::check(tensor.shape == ours.view().shape, "verify", file.path().string(), ": '", ours.name, "' has shape ",
                  flamingo::io::shape_text(tensor.shape), ", expected ", flamingo::io::shape_text(ours.view().shape));
  flamingo::io::convert(tensor, std::span<float>(theirs));
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    const double a = static_cast<double>(ours.numbers[i]), b = static_cast<double>(theirs[i]);
    difference += (a - b) * (a - b);
    size += b * b;
  }
  const double relative = std::sqrt(difference / size);
  std::cout << ours.name << ' ' << flamingo::io::shape_text(tensor.shape) << ": relative difference " << relative
            << '\n';
  return relative <= tolerance;  // false for what is no number, too
}

int run(int argc, char** argv) {
  flamingo::check(argc >= 2 && argc % 2 == 0, "verify", usage);
  fs::path output, against;
  int threads = 0;
  for (int i = 2; i < argc; i += 2) {
    const std::string_view word = argv[i];
    if (word == "--output")
      output = argv[i + 1];
    else if (word == "--against")
      against = argv[i + 1];
    else if (word == "--threads")
      threads = std::atoi(argv[i + 1]);
    else
      flamingo::fail("verify", "unknown option ", word, '\n', usage);
  }
  const std::vector<Result> results = compute(argv[1], threads);
  if (!output.empty()) {
    std::vector<flamingo::io::TensorView> tensors;
    for (const Result& result : results) tensors.push_back(result.view());
    flamingo::io::write_safetensors(output, tensors);
  }
  if (against.empty()) return 0;
  const flamingo::io::Safetensors file(against);
  bool agree = true;
  for (const Result& result : results) agree &= agrees(result, file);
  return agree ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try { return run(argc, argv); } catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
