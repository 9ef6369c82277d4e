/// The paper's ablations that change the model itself, each another program: FLAMINGO_ABLATION is one's name. Those
/// that change what is trained on are choices of recipe.hpp; examples/ablate runs them all.
#pragma once
#include <flamingo/config/flamingo.hpp>
#include <flamingo/config/training.hpp>

namespace caption {

enum class Ablation {
  base,
  no_gate,
  every_second,  ///< gated blocks before every second decoder block
  single,        ///< one gated block, in the middle
  mlp,           ///< in the Resampler's place, of as many parameters
  transformer,   ///< likewise
  all_earlier,   ///< a token sees all media before it
  trained_lm,    ///< the decoder is fine-tuned too
};
#ifdef FLAMINGO_ABLATION
inline constexpr Ablation ablation = Ablation::FLAMINGO_ABLATION;
#else
inline constexpr Ablation ablation = Ablation::base;
#endif

/// A config as an ablation changes it.
template <class Vision, class Lm>
constexpr flamingo::FlamingoConfig<Vision, Lm> changed(flamingo::FlamingoConfig<Vision, Lm> config, Ablation what) {
  switch (what) {
    case Ablation::no_gate:
      config.xattn.gate = flamingo::Gate::none;
      break;
    case Ablation::every_second:
      config.xattn.every *= 2;
      break;
    case Ablation::single:
      config.xattn.places = flamingo::Places::of({config.lm.layers / 2});
      break;
    case Ablation::mlp:
      config.resampler.kind = flamingo::ResamplerKind::mlp;
      // A layer without attention: 2 widening D² in place of (4 + 2 widening) D².
      config.resampler.layers *= 2 + config.resampler.widening;
      config.resampler.layers /= config.resampler.widening;
      break;
    case Ablation::transformer:
      config.resampler.kind = flamingo::ResamplerKind::transformer;
      break;
    case Ablation::all_earlier:
      config.xattn.visibility = flamingo::Visibility::all_earlier;
      break;
    case Ablation::base:
    case Ablation::trained_lm:
      break;
  }
  return config;
}

inline constexpr flamingo::TrainedParts trained{.lm = ablation == Ablation::trained_lm};

}  // namespace caption
