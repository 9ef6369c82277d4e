/// A quick look at naming: in context, on folders held out for validation (five classes, K pictures of each), and among
/// many names, without demonstrations.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "ablation.hpp"
#include "episodes.hpp"

#include <flamingo/core/store.hpp>

namespace mixture {

struct FewShotOptions {
  int shots = 1;                             ///< of each class
  bool made_up = true;                       ///< words instead of the classes' names
  bool shuffled = false;                     ///< control: the demonstrations' labels change places
  int episodes = 10, ways = 5, queries = 2;  ///< of each class in an episode, over one support
  std::uint64_t seed = 7;
};

/// The reference: the class whose mean frozen feature is the nearest, in the very episodes.
double prototype_accuracy(const std::vector<Class>& classes, const Features& features, const FewShotOptions& options);

class FewShot {
 public:
  using ConnectorWeights = flamingo::Store<caption::Connector, caption::P>::Views;
  /// The frozen decoder, or the one that is trained too.
  using LmWeights =
      std::conditional_t<caption::trained.lm, flamingo::Store<caption::Lm, caption::P>::Views, caption::LmWeights>;

  FewShot(flamingo::Context<caption::P>& ctx, const caption::Backbones& backbones, const ConnectorWeights& connector,
          const LmWeights& lm);
  ~FewShot();

  /// The share of queries whose label is the likeliest of the five. Classes need shots + queries pictures.
  double accuracy(const std::vector<Class>& classes, const Features& features, const FewShotOptions& options);
  /// The share of pictures whose own name is the likeliest of all of theirs.
  double naming(const std::vector<Class>& named, const Features& features);

 private:
  struct Engine;  // compiled once, in few_shot.cpp
  const caption::Backbones& backbones_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace mixture
