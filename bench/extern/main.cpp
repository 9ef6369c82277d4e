// What README's program does, in a translation unit that makes no layer.
#include <array>
#include <iostream>

#include "model.hpp"

int main() {
  flamingo::Context<P> ctx;
  std::vector<float> picture(16 * 24, 0.0f);
  const Connector connector(/*seed=*/1);
  const Lm lm(/*seed=*/2);
  auto engine = flamingo::make_engine<Model>(ctx, connector.views, lm.views);
  auto state = engine.begin({.ids = {1, 7, 42}, .phi = {0, 1, 1}},
                            std::array{engine.add_medium(Features{picture.data(), 16, {}})});
  for (const int id : flamingo::generate(engine, state, {.max_new_tokens = 8}).ids) std::cout << id << ' ';
}
