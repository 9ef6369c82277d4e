// A video is one medium of several frames: the Resampler adds the embedding of its time to each frame's cells.
//   video WEIGHTS (of train)
#include <iostream>

#include "model.hpp"

int main(int, char** argv) {
  using namespace little;
  Little model(argv[1]);
  flamingo::Random random(/*seed=*/19);
  int right = 0, backwards = 0;
  constexpr int videos = 20;
  for (int i = 0; i < videos; ++i) {
    const int way = i % 2;
    std::vector<Picture> frames = video_of(Thing::drawn(random), way, random);
    const auto asked = [&] {
      const std::array media{model.look(frames)};
      flamingo::TextState state =
          model.begin(flamingo::Document{}.video({"1", "2", "3", "4"}).given(" which way?"), media);
      return model.answer(state);
    };
    right += asked() == " " + ways[static_cast<std::size_t>(way)];
    std::reverse(frames.begin(), frames.end());
    backwards += asked() == " " + ways[static_cast<std::size_t>(1 - way)];
  }
  std::cout << right << " of " << videos << " ways told, " << backwards << " of the same frames backwards\n";
  return right > videos / 2 && backwards > videos / 2 ? 0 : 1;
}
