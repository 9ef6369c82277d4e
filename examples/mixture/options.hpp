/// The command line of the training: three folders, and any choice of the recipe by its name.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <type_traits>

#include "recipe.hpp"

#include <flamingo/core/check.hpp>

namespace mixture {

struct Options {
  std::filesystem::path backbones, data, out;
  Recipe recipe;
  double minutes = 170;
  long every = 100;  ///< steps from one look at what is held out to the next
  long saves = 20;   ///< steps from one checkpoint to the next
  int threads = 0, prepare = 0, listed = 0;
  int episodes = 10, all_shots = 0;  ///< of each look at naming in context
};

inline constexpr const char* usage =
    "usage: train_connector BACKBONES DATA OUT [OPTION VALUE]...\n"
    "  BACKBONES  folder filled by examples/data/fetch backbones\n"
    "  DATA       folder of examples/data/mixture.py\n"
    "  OUT        gets features.bin, duplicates.txt, checkpoints, the log (lines of JSON, TensorBoard's events),\n"
    "             report.html, and connector.safetensors when the schedule ends\n"
    "  --minutes N      stop after N minutes, wherever it is; run again to go on (default 170)\n"
    "  --threads N      (default: all cores)\n"
    "  --every N        steps from one look at what is held out to the next (default 100)\n"
    "  --saves N        steps from one checkpoint to the next (default 20)\n"
    "  --prepare 1      compute the features, write duplicates.txt, and end\n"
    "  --look-episodes N  of each look at naming in context, ten questions each (default 10)\n"
    "  --look-all 1     at 1, 2, 4 and 8 shots, not at 1 and 8 alone\n"
    "  --listed 1       leave out what OUT/duplicates.txt lists, as another encoder found it\n"
    "  and each choice of recipe.hpp: --steps --rate --floor --rate-warmup --resampler-rate --gate-rate --decay\n"
    "  --pages --episodes --noisy --clean --animations (documents an update; with -weight their weights)\n"
    "  --page-tokens --episode-media --same-picture --same-concept\n"
    "  --easy-picture --easy-concept --easy-steps --made-up --swapped --dropped-cells --dropped-channels\n"
    "  --variations --warmup --warmup-pairs --contrast --contrast-pairs --loudness --word --last-gate\n"
    "  --round-robin 1 (updates of one dataset in turn) --lm-rate --seed\n";

inline Options parse(int argc, char** argv) {
  flamingo::check(argc >= 4 && argc % 2 == 0, "train_connector", usage);
  Options o{.backbones = argv[1], .data = argv[2], .out = argv[3], .recipe = {}};
  Recipe& r = o.recipe;
  for (int i = 4; i < argc; i += 2) {
    const std::string_view name = argv[i];
    char* end = nullptr;
    const double value = std::strtod(argv[i + 1], &end);
    flamingo::check(end != argv[i + 1] && *end == 0 && value >= 0, "train_connector", name, " is ", argv[i + 1],
                    ", expected a number of 0 or more");
    const auto is = [&](std::string_view option, auto& field) {
      if (name != option) return false;
      field = static_cast<std::remove_reference_t<decltype(field)>>(value);
      return true;
    };
    const auto share = [&](std::string_view option, Share& field) {
      if (!name.starts_with(option)) return false;
      const std::string_view rest = name.substr(option.size());
      if (rest == "-weight") field.weight = value;
      if (rest.empty()) field.documents = static_cast<int>(value);
      return rest == "-weight" || rest.empty();
    };
    flamingo::check(
        is("--minutes", o.minutes) || is("--threads", o.threads) || is("--every", o.every) || is("--saves", o.saves) ||
            is("--prepare", o.prepare) || is("--listed", o.listed) || is("--steps", r.steps) || is("--rate", r.rate) ||
            is("--floor", r.floor) || is("--rate-warmup", r.rate_warmup) || is("--resampler-rate", r.resampler_rate) ||
            is("--gate-rate", r.gate_rate) || is("--decay", r.decay) || is("--page-tokens", r.page_tokens) ||
            is("--episode-media", r.episode_media) || is("--same-picture", r.same_picture) ||
            is("--same-concept", r.same_concept) || is("--easy-picture", r.easy_picture) ||
            is("--easy-concept", r.easy_concept) || is("--easy-steps", r.easy_steps) || is("--made-up", r.made_up) ||
            is("--swapped", r.swapped) || is("--dropped-cells", r.dropped_cells) ||
            is("--dropped-channels", r.dropped_channels) || is("--variations", r.variations) ||
            is("--warmup", r.warmup) || is("--warmup-pairs", r.warmup_pairs) || is("--contrast", r.contrast) ||
            is("--contrast-pairs", r.contrast_pairs) || is("--loudness", r.loudness) || is("--word", r.word) ||
            is("--last-gate", r.last_gate) || is("--round-robin", r.round_robin) || is("--lm-rate", r.lm_rate) ||
            is("--seed", r.seed) || is("--look-episodes", o.episodes) || is("--look-all", o.all_shots) ||
            share("--pages", r.pages) || share("--episodes", r.episodes) || share("--noisy", r.noisy) ||
            share("--clean", r.clean) || share("--animations", r.animations),
        "train_connector", "there is no option ", name, '\n', usage);
  }
  flamingo::check(r.steps > 0 && o.every > 0 && o.saves > 0 && r.variations > 0 && r.episode_media > 2,
                  "train_connector",
                  "--steps, --every, --saves and --variations must be positive, --episode-media above 2");
  return o;
}

}  // namespace mixture
