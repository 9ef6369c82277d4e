// Talks about pictures with the connector, after the paper's prompt for dialogues: a sentence about who talks,
// exchanges about three pictures, then what is typed. Each turn reads its own tokens alone.
//   dialogue BACKBONES CONNECTOR CAT TABLE DIAGRAM     then lines: a text, or @FILE: a picture before the next text
#include <array>
#include <iostream>
#include <string>
#include <vector>

#include "../caption/model.hpp"
#include "tagged_tokenizer.hpp"

#include <flamingo/infer/dialogue.hpp>

namespace {

using namespace caption;

int run(int argc, char** argv) {
  flamingo::check(argc == 6, "dialogue", "usage: dialogue BACKBONES CONNECTOR CAT TABLE DIAGRAM < LINES");
  flamingo::Context<P> ctx;
  const Backbones backbones = Backbones::load(argv[1], flamingo::Held::as_stored, flamingo::Arrangement::panels);
  flamingo::Store<Connector, P> connector;
  flamingo::load_connector<config, P>(argv[2], connector.views);
  auto engine = flamingo::make_engine<Model>(ctx, connector.views, backbones.lm.views);
  const auto look = [&](const std::string& file) {
    const flamingo::io::Image image = flamingo::io::read_image(file);
    const std::vector<float> features = encode(ctx, backbones, std::span(&image, 1));
    return engine.add_medium(flamingo::Rows<P, Encoder::D, const float>{features.data(), cells, {}});
  };

  const evaluation::TaggedTokenizer text(backbones.tokenizer, {{"<image>", backbones.tags.image}});
  flamingo::DialoguePrompt prompt = flamingo::paper_dialogue();
  prompt.begin = "<|endoftext|>";
  const std::array shown{look(argv[3]), look(argv[4]), look(argv[5])};
  flamingo::Dialogue dialogue(engine, text, prompt, shown);
  std::vector<flamingo::CachedMedium> pictures;
  for (std::string line; std::getline(std::cin, line);) {
    if (line.starts_with('@')) {
      pictures.push_back(look(line.substr(1)));
      continue;
    }
    const flamingo::DialogueReply reply = dialogue.say(line, pictures, {.max_new_tokens = 40});
    std::cout << line << '\n'
              << "Flamingo:" << reply.text << "   (" << reply.tokens_read << " tokens read of " << dialogue.length()
              << ")\n";
    pictures.clear();
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) try { return run(argc, argv); } catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
