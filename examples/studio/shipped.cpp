// The model of examples/run: our connector between EfficientNet-Lite0 and SmolLM2-135M-Instruct.
#include "../caption/session.hpp"
#include "desk.hpp"
#include "plain.hpp"

#include <flamingo/model/connector_file.hpp>

namespace studio {
namespace {

class Shipped {
 public:
  using P = caption::P;
  using Model = caption::Model;
  using Connector = caption::Captioner::ConnectorWeights;
  using Lm = caption::LmWeights;
  using Codec = flamingo::io::Stb;

  explicit Shipped(const Weights& weights)
      : backbones_(caption::Backbones::load(weights.folder, flamingo::Held::as_stored, flamingo::Arrangement::panels)) {
    flamingo::load_connector<caption::config, P>(weights.connector, connector_.views);
  }

  About about() const {
    constexpr flamingo::Grid grid =
        caption::Encoder::features({0, caption::config.vision.image, caption::config.vision.image});
    return {.name = "flamingo-smollm2-135m",
            .description =
                "EfficientNet-Lite0 and SmolLM2-135M-Instruct, both frozen, and a connector of 11 M numbers "
                "between them.",
            .advice =
                "It names drawings of everyday things, often wrongly, and follows no instructions: let the prompt "
                "end with a picture.",
            .grid_width = grid.width,
            .grid_height = grid.height,
            .fit = Fit::pad,
            .default_tokens = 12};
  }
  const Connector& connector() const { return connector_.views; }
  const Lm& lm() const { return backbones_.lm.views; }
  const flamingo::io::Tokenizer& tokenizer() const { return backbones_.tokenizer; }
  Prompt prompt(const Chat& chat) const {
    return {sequence_of(document_of(chat), backbones_.tokenizer, backbones_.tags,
                        {.end_last_chunk = false, .context = caption::config.lm.context}),
            end_of_answer(),
            {},
            {}};
  }
  Sight encode(flamingo::Context<P>& ctx, const flamingo::io::RawImage& picture) const {
    const flamingo::io::Image image = flamingo::io::over(picture);
    return {caption::encode(ctx, backbones_, std::span(&image, 1)), caption::cells, 0};
  }

 private:
  /// A full stop, which ends what is said of a picture, and the end of a document.
  std::vector<int> end_of_answer() const {
    std::vector<int> ids = backbones_.tags.end_of_chunk;
    ids.insert(ids.end(), backbones_.tags.begin.begin(), backbones_.tags.begin.end());
    return ids;
  }
  caption::Backbones backbones_;
  flamingo::Store<caption::Connector, P> connector_;
};

}  // namespace

std::unique_ptr<Writer> open_model(const Weights& weights, const DeskOptions& options) {
  return std::make_unique<Desk<Shipped>>(std::make_unique<const Shipped>(weights), options);
}

}  // namespace studio
