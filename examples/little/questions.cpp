// Visual question answering over a document of several pictures: each question is about the picture before it.
//   questions WEIGHTS (of train)
#include <iostream>

#include "model.hpp"

int main(int, char** argv) {
  using namespace little;
  Little model(argv[1]);
  flamingo::Random random(/*seed=*/13);
  int right = 0;
  constexpr int documents = 20;
  for (int i = 0; i < documents; ++i) {
    const Thing first = Thing::drawn(random), second = Thing::drawn(random);
    const std::array media{model.look(picture_of(first, random)), model.look(picture_of(second, random))};
    flamingo::TextState state = model.begin(
        flamingo::Document{}.image("first.png").text(first.name()).image("second.png").given(" which colour?"), media);
    const std::string answer = model.answer(state);
    right += answer == " " + colours[static_cast<std::size_t>(second.colour)];
    if (i < 3) std::cout << "after" << first.name() << " the second picture's colour is" << answer << '\n';
  }
  std::cout << right << " of " << documents << " answered rightly\n";
  return right > documents / 2 ? 0 : 1;
}
