// Evaluates a trained connector by a plan: scores against shots, controls, one page that shows them. examples/evaluate
// runs it.
#include "../caption/model.hpp"
#include "program.hpp"
#include "recent.hpp"
#include "tagged_tokenizer.hpp"

#include <flamingo/eval/protocol/engine_model.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace {

using namespace caption;
using Connector = flamingo::Store<caption::Connector, P>;

constexpr const char* usage = "usage: evaluate_plan BACKBONES CONNECTOR PLAN DATA OUT [OPTION VALUE]...\n";

/// As the connector was trained: a picture begins with its tag, what is said of it follows.
flamingo::PromptSet prompts() {
  flamingo::PromptSet set = flamingo::paper_prompts();
  set.name = "connector";
  set.begin = begin_tag;
  set.image = "<image>";
  set.end_of_chunk = "<EOC>";
  set.lead = " ";
  set.image_is_a_word = true;
  set.closes_candidates = true;
  const flamingo::PromptPattern named{.shot = "{image}{answer}{end}"};
  set.caption = set.classification = set.action = named;
  set.question.shot = "{image} Question: {question} Answer:{answer}{end}";
  return set;
}

/// Features of pictures and of animations' frames. Those used last are kept, as halves: demonstrations come again and
/// again.
class See {
 public:
  See(flamingo::Context<P>& ctx, const Backbones& backbones) : ctx_(ctx), backbones_(backbones) {}

  flamingo::EncodedMedium<float> operator()(const flamingo::TaskMedium& medium) {
    const std::vector<evaluation::fs::path> files = evaluation::files_of(medium);
    constexpr int across = static_cast<int>(Encoder::features({0, config.vision.image, config.vision.image}).width);
    flamingo::EncodedMedium<float> seen{.rows = {},
                                        .count = cells * std::max(1, static_cast<int>(files.size())),
                                        .frames = std::max(1, static_cast<int>(files.size())),
                                        .columns = across,
                                        .lines = cells / across};
    if (files.empty()) add({}, seen.rows);
    for (const auto& file : files) add(file, seen.rows);
    return seen;
  }

 private:
  using Halves = std::vector<flamingo::half>;

  void add(const evaluation::fs::path& file, std::vector<float>& rows) {
    const Halves* kept = kept_.find(file.string());
    if (!kept) {
      const flamingo::io::Image image = file.empty() ? white() : flamingo::io::read_image(file);
      Halves seen;
      for (const float x : encode(ctx_, backbones_, std::span(&image, 1))) seen.push_back(flamingo::half(x));
      const std::size_t bytes = seen.size() * sizeof(flamingo::half);
      kept = &kept_.put(file.string(), std::move(seen), bytes);
    }
    for (const flamingo::half x : *kept) rows.push_back(static_cast<float>(x));
  }
  static flamingo::io::Image white() {
    flamingo::io::Image image{config.vision.image, config.vision.image, {}};
    image.rgb.assign(static_cast<std::size_t>(image.width * image.height * 3), 255);
    return image;
  }

  flamingo::Context<P>& ctx_;
  const Backbones& backbones_;
  evaluation::Recent<Halves> kept_{evaluation::kept_bytes};
};

int run(int argc, char** argv) {
  flamingo::check(argc >= 3, "evaluate", usage, evaluation::options_text);
  const auto o =
      evaluation::Options::parse(std::span(argv + 3, argv + argc), usage + std::string(evaluation::options_text));
  flamingo::Context<P> ctx(o.threads);
  ctx.rounds_to_bf16 = true;  // as it was trained
  const Backbones backbones = Backbones::load(argv[1], flamingo::Held::as_bf16, flamingo::Arrangement::panels);
  Connector connector;
  flamingo::load_connector<config, P>(argv[2], connector.views);
  auto engine = flamingo::make_engine<Model>(ctx, connector.views, backbones.lm.views,
                                             flamingo::EngineOptions{.text_rows = 32768, .media = 768});
  const evaluation::TaggedTokenizer text(
      backbones.tokenizer,
      {{begin_tag, backbones.tags.begin}, {"<image>", backbones.tags.image}, {"<EOC>", backbones.tags.end_of_chunk}});
  See see(ctx, backbones);
  flamingo::EngineModel model(engine, text, prompts(), encoder_name,
                              [&](const flamingo::TaskMedium& medium) { return see(medium); });
  return evaluation::run(
      model, o, evaluation::hash_of(flamingo::io::MappedFile(argv[2]).text()),
      [](const evaluation::fs::path& file) { return flamingo::io::pad_to_square(flamingo::io::read_image(file)); });
}

}  // namespace

int main(int argc, char** argv) try { return run(argc, argv); } catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
