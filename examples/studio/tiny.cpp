// A model of random numbers that fits into a page: everything is there but sense.
#include "desk.hpp"
#include "plain.hpp"

#include <flamingo/core/store.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/io/image_file.hpp>
#include <flamingo/io/tokenizer.hpp>
#include <flamingo/model/vision/encoder.hpp>
#include <flamingo/model/vision/preprocess.hpp>

namespace studio {
namespace {

constexpr flamingo::FlamingoConfig<flamingo::Vit, flamingo::Llama> config{
    .vision = {.image = 32, .patch = 8, .dim = 24, .layers = 1, .heads = 2},
    .resampler = {.vision_dim = 24, .dim = 24, .latents = 4, .layers = 1, .heads = 2, .head_dim = 12},
    .xattn = {.every = 1, .heads = 2, .head_dim = 12},
    .lm = {.dim = 32, .layers = 2, .heads = 2, .kv_heads = 1, .hidden = 48, .vocabulary = 259, .context = 16384}};

/// A token for each byte, as GPT-2 writes them, then <s>, <image> and <eoc>.
flamingo::io::Tokenizer bytes() {
  flamingo::io::Vocabulary v;
  v.ignore_merges = true;
  char32_t next = 256;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printed = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
    flamingo::io::append_utf8(v.tokens.emplace_back(), printed ? byte : next++);
  }
  for (const char* tag : {"<s>", "<image>", "<eoc>"}) {
    v.added.push_back({.id = static_cast<int>(v.tokens.size()), .text = tag, .special = true});
    v.tokens.emplace_back(tag);
  }
  return flamingo::io::Tokenizer(std::move(v));
}

class Tiny {
 public:
  using P = flamingo::Cpu<float>;
  using Model = flamingo::model::Flamingo<config, P>;
  using Vision = flamingo::Encoder<config.vision, P>;
  using Connector = flamingo::Store<Model::Connect, P>::Views;
  using Lm = flamingo::Store<Model::Decoder, P>::Views;
  using Codec = flamingo::io::Stb;
  static constexpr flamingo::Grid grid = Vision::features({0, config.vision.image, config.vision.image});

  Tiny() {
    for (float& x : connector_.flat) x *= 4;      // new weights look everywhere alike
    for (auto& block : connector_.views.gated) {  // new gates are closed
      block.attention_gate.data[0] = 1;
      block.dense_gate.data[0] = 1;
    }
  }
  About about() const {
    return {.name = "flamingo-tiny",
            .description = "A model of random numbers: it writes nonsense at once.",
            .advice = "For looking at the studio, and for tests.",
            .grid_width = grid.width,
            .grid_height = grid.height,
            .fit = Fit::pad,
            .default_tokens = 16};
  }
  const Connector& connector() const { return connector_.views; }
  const Lm& lm() const { return lm_.views; }
  const flamingo::io::Tokenizer& tokenizer() const { return tokenizer_; }
  Prompt prompt(const Chat& chat) const {
    return {sequence_of(document_of(chat), tokenizer_, tags_, {.end_last_chunk = false, .context = config.lm.context}),
            tags_.end_of_chunk,
            banned_,
            {}};
  }
  Sight encode(flamingo::Context<P>& ctx, const flamingo::io::RawImage& picture) const {
    constexpr int side = config.vision.image;
    const auto pixels = flamingo::pixel_rows(flamingo::io::over(picture), side, flamingo::PixelScale::clip());
    const std::array square{flamingo::Grid{0, side, side}};
    Sight sight{std::vector<float>(static_cast<std::size_t>(grid.rows() * Vision::D)), grid.rows(), 0};
    const auto scope = ctx.scope();
    Vision::forward(ctx, vision_.views, flamingo::Rows<P, 3, const float>{pixels.data(), side * side, {}}, square,
                    flamingo::Rows<P, Vision::D>{sight.rows.data(), grid.rows(), {}});
    return sight;
  }

 private:
  static constexpr int begin = 256, image = 257;
  const flamingo::Store<Vision, P> vision_{3};
  flamingo::Store<Model::Connect, P> connector_{1};
  const flamingo::Store<Model::Decoder, P> lm_{2};
  const flamingo::io::Tokenizer tokenizer_ = bytes();
  const flamingo::Tags tags_ = flamingo::Tags::of(tokenizer_, "<s>", "<image>", "<eoc>");
  const std::vector<int> banned_{begin, image};
};

}  // namespace

std::unique_ptr<Writer> open_tiny(const DeskOptions& options) {
  return std::make_unique<Desk<Tiny>>(std::make_unique<const Tiny>(), options);
}

}  // namespace studio
