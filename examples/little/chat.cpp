// A conversation about a picture: a TextState is the conversation. Each turn is appended to it; nothing that was read
// is read again, and the answer is streamed as it is decided.
//   chat WEIGHTS (of train)
#include <iostream>

#include "model.hpp"

int main(int, char** argv) {
  using namespace little;
  Little model(argv[1]);
  flamingo::Random random(/*seed=*/17);
  const Thing thing{.colour = 2, .shape = 2};
  const std::array media{model.look(picture_of(thing, random))};
  flamingo::TextState conversation = model.begin(flamingo::Document{}.image("thing.png"), media);

  std::string said;
  for (const std::string turn : {" which colour?", " which shape?"}) {
    const long before = model.engine.tokens_read();
    std::cout << "> " << turn << '\n';
    const std::vector<int> ids = model.tokenizer.encode(turn);
    const std::vector<int> phi(ids.size(), conversation.last_phi);  // still about the same picture
    model.engine.append(conversation, ids, phi);
    flamingo::GenerateOptions options{.max_new_tokens = 4,
                                      .stop_ids = {*model.tokenizer.find(".")},
                                      .bytes_of = [&](int id) { return model.tokenizer.bytes(id); },
                                      .on_text = [](std::string_view piece) { std::cout << piece << std::flush; }};
    said += flamingo::generate(model.engine, conversation, options).text;
    std::cout << "   (" << model.engine.tokens_read() - before << " tokens read)\n";
  }
  return said == " blue square" ? 0 : 1;
}
