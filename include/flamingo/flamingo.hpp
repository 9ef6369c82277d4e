/// What answers, but a platform: configs, ops, layers, the model, generation, scores, attention maps. Needs neither
/// Eigen nor CUDA. What trains is in training.hpp; encoders of pictures and what is done with them alone in vision.hpp;
/// files, tokenizers and documents in files.hpp: a TU without them compiles quickly.
#pragma once
#include <flamingo/config/presets/open_flamingo.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/infer/attention_map.hpp>
#include <flamingo/infer/beam.hpp>
#include <flamingo/infer/generate.hpp>
#include <flamingo/infer/score.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/version.hpp>
