/// Everything that computes, but a platform: configs, ops, layers, the model, training and generation. Needs neither
/// Eigen nor CUDA. Encoders of pictures and what is done with them alone are in vision.hpp; files, tokenizers and
/// documents in files.hpp: a TU without them compiles quickly.
#pragma once
#include <flamingo/config/presets/open_flamingo.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/infer/attention_map.hpp>
#include <flamingo/infer/beam.hpp>
#include <flamingo/infer/generate.hpp>
#include <flamingo/infer/score.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/train/language_model.hpp>
#include <flamingo/train/trainer.hpp>
#include <flamingo/version.hpp>
