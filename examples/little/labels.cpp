// A thousand labels at once: candidates are read as a tree, so what they have in common is computed once.
//   labels WEIGHTS (of train)
#include <chrono>
#include <iostream>

#include "model.hpp"

int main(int, char** argv) {
  using namespace little;
  Little model(argv[1]);
  flamingo::Random random(/*seed=*/23);

  // All pairs of things, and what follows them: 12 x 12 x 7 = 1008 labels of 8 tokens.
  std::vector<std::string> labels;
  std::vector<std::vector<int>> ids;
  for (int a = 0; a < 12; ++a)
    for (int b = 0; b < 12; ++b)
      for (const char* last : {" left", " right", " way", " shape", " colour", " which", " a"}) {
        labels.push_back(Thing{.colour = a / 3, .shape = a % 3}.name() + Thing{.colour = b / 3, .shape = b % 3}.name() +
                         last);
        ids.push_back(model.tokenizer.encode(labels.back()));
      }

  const Thing thing{.colour = 3, .shape = 0};
  const std::array media{model.look(picture_of(thing, random))};
  flamingo::TextState state = model.begin(flamingo::Document{}.image("thing.png"), media);
  const long before = model.engine.tokens_read();
  const auto begun = std::chrono::steady_clock::now();
  const auto scores = flamingo::score(model.engine, state, std::span<const std::vector<int>>(ids));
  const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - begun;
  std::size_t tokens = 0;
  for (const auto& label : ids) tokens += label.size();
  const std::string best = labels[flamingo::best_of(scores)];
  std::cout << labels.size() << " labels of " << tokens << " tokens in " << spent.count() << " ms, of which "
            << model.engine.tokens_read() - before << " were read; the likeliest:" << best << '\n';
  return best.starts_with(thing.name()) && static_cast<std::size_t>(model.engine.tokens_read() - before) < tokens / 3
             ? 0
             : 1;
}
