/// Everything that computes, but a platform: configs, ops, layers, the model, training and generation. Needs neither
/// Eigen nor CUDA. Files, tokenizers and documents are in files.hpp, so that a TU without them compiles quickly.
#pragma once
#include <flamingo/config/presets/clip.hpp>
#include <flamingo/config/presets/open_flamingo.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/eval/embed.hpp>
#include <flamingo/eval/retrieval.hpp>
#include <flamingo/eval/zero_shot.hpp>
#include <flamingo/infer/attention_map.hpp>
#include <flamingo/infer/beam.hpp>
#include <flamingo/infer/generate.hpp>
#include <flamingo/infer/score.hpp>
#include <flamingo/model/clip/dual_encoder.hpp>
#include <flamingo/model/contrastive/dual_encoder.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/model/vision/encoder.hpp>
#include <flamingo/train/trainer.hpp>
#include <flamingo/version.hpp>
