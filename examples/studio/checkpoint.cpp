// The checkpoint that this program was built for: OpenFlamingo's, Idefics' or Llama 3.2 Vision's folder, as
// examples/open opens it.
#include <checkpoint.hpp>

#include "../open/families.hpp"
#include "desk.hpp"
#include "plain.hpp"

#include <flamingo/io/image_codecs.hpp>
#include <flamingo/io/sentencepiece.hpp>

namespace studio {
namespace {

constexpr bool tiles = opened::kind<checkpoint.vision, flamingo::MllamaVision>;
constexpr bool open_flamingo = !tiles && !opened::kind<checkpoint.lm, flamingo::Llama>;

/// Llama 3.2's template: each turn between its header and an end of turn, then the header of the answer. Texts of users
/// are read without special tokens, so none of them ends its turn.
opened::Prompt template_of_llama(const Chat& chat, const flamingo::io::Tokenizer& tokenizer) {
  const auto special = [&](std::string_view name) { return opened::id_of(tokenizer, name); };
  const int image = special("<|image|>"), end = special("<|eot_id|>");
  flamingo::Sequence s;
  const auto add = [&](std::span<const int> ids) { s.ids.insert(s.ids.end(), ids.begin(), ids.end()); };
  const auto header = [&](std::string_view role) {
    s.ids.push_back(special("<|start_header_id|>"));
    add(tokenizer.encode(role, {.begins = false}));
    s.ids.push_back(special("<|end_header_id|>"));
  };
  s.ids = {special("<|begin_of_text|>")};
  for (const Turn& turn : chat) {
    header(turn.role);
    std::string text = "\n\n";  // with the text that follows it, as the template's one string is read
    for (const Part& part : turn.parts) {
      if (!part.picture) {
        text += part.content;
        continue;
      }
      add(tokenizer.encode(text, {.begins = false}));
      text.clear();
      s.ids.push_back(image);
      ++s.media;
    }
    add(tokenizer.encode(text, {.begins = false}));
    s.ids.push_back(end);
  }
  header("assistant");
  add(tokenizer.encode("\n\n", {.begins = false}));
  s.phi = flamingo::phi_of_tags(s.ids, image);
  flamingo::check(s.ids.size() <= static_cast<std::size_t>(checkpoint.lm.context), "chat", "it has ", s.ids.size(),
                  " tokens, the context holds ", checkpoint.lm.context);
  return {std::move(s), {end, special("<|end_of_text|>")}, opened::written<checkpoint.lm>({image})};
}

/// The cells of a picture of one piece; one of tiles has no grid.
template <class Vision>
void describe_cells(About& about, const Vision& vision) {
  if constexpr (requires { vision.class_out; }) {
    about.grid_width = about.grid_height = vision.grid();
    about.before_cells = vision.class_out ? 1 : 0;
  }
}

class Opened {
 public:
  using P = opened::P;
  using Loaded = flamingo::LoadedModel<checkpoint, P>;
  using Model = Loaded::Model;
  using Family = opened::Family<checkpoint>;
  using Connector = decltype(Loaded::connector.views);
  using Lm = decltype(Loaded::lm.views);
  using Codec = flamingo::io::Codecs;

  explicit Opened(const std::filesystem::path& folder)
      : name_(std::filesystem::canonical(folder).filename().string()),
        loaded_(flamingo::load<checkpoint, P>(folder)),
        tokenizer_(flamingo::io::Tokenizer::from_folder(Family::tokenizer(folder), flamingo::io::read_sentencepiece)) {}

  About about() const {
    About about{.name = name_,
                .description = tiles           ? "Llama 3.2 Vision."
                               : open_flamingo ? "OpenFlamingo."
                                               : "Idefics.",
                .advice = tiles ? "" : "It knows no turns: write a prompt that it can go on with.",
                .fit = open_flamingo ? Fit::crop : Fit::stretch,
                .default_tokens = 256};
    describe_cells(about, checkpoint.vision);
    return about;
  }
  const Connector& connector() const { return loaded_.connector.views; }
  const Lm& lm() const { return loaded_.lm.views; }
  const flamingo::io::Tokenizer& tokenizer() const { return tokenizer_; }
  Prompt prompt(const Chat& chat) const {
    opened::Prompt prompt;
    if constexpr (tiles)
      prompt = template_of_llama(chat, tokenizer_);
    else
      prompt = Family::prompt(document_of(chat), tokenizer_);
    return {std::move(prompt.sequence), std::move(prompt.stop), std::move(prompt.banned), {}};
  }
  Sight encode(flamingo::Context<P>& ctx, const flamingo::io::RawImage& picture) const {
    opened::Features features = Family::encode(ctx, loaded_, picture);
    return {std::move(features.rows), features.count, features.visible};
  }

 private:
  std::string name_;
  Loaded loaded_;
  flamingo::io::Tokenizer tokenizer_;
};

}  // namespace

std::unique_ptr<Writer> open_model(const Weights& weights, const DeskOptions& options) {
  return std::make_unique<Desk<Opened>>(std::make_unique<const Opened>(weights.folder), options);
}

}  // namespace studio
