// Few-shot classification: a prompt of four labelled pictures and the one asked about; the class is the likeliest
// label.
//   few_shot WEIGHTS (of train)
#include <iostream>

#include "model.hpp"

int main(int, char** argv) {
  using namespace little;
  Little model(argv[1]);
  flamingo::Random random(/*seed=*/11);

  std::vector<std::vector<int>> labels;
  for (int c = 0; c < 4; ++c)
    for (int s = 0; s < 3; ++s) labels.push_back(model.tokenizer.encode(Thing{.colour = c, .shape = s}.name()));

  // The shots are read once; every query begins with a copy of what both have read.
  flamingo::Document shots;
  std::vector<flamingo::CachedMedium> seen;
  for (int i = 0; i < 4; ++i) {
    const Thing thing = Thing::drawn(random);
    shots.image("shot").text(thing.name());
    seen.push_back(model.look(picture_of(thing, random)));
  }

  int right = 0;
  constexpr int queries = 40;
  for (int i = 0; i < queries; ++i) {
    const Thing thing = Thing::drawn(random);
    flamingo::Document prompt = shots;
    prompt.image("query");
    std::vector<flamingo::CachedMedium> media = seen;
    media.push_back(model.look(picture_of(thing, random)));
    flamingo::TextState state = model.begin(prompt, media);
    const auto scores = flamingo::score(model.engine, state, std::span<const std::vector<int>>(labels));
    right += flamingo::best_of(scores) == static_cast<std::size_t>(3 * thing.colour + thing.shape);
  }
  std::cout << right << " of " << queries << " classified rightly among " << labels.size() << " labels\n";
  return right > queries / 2 ? 0 : 1;
}
