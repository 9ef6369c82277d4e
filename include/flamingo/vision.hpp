/// Every encoder of pictures, and pairs of a picture's and a text's tower: embedding, contrast, retrieval, zero-shot
/// classes. The model takes features, whoever made them, so that a TU which reads them from a cache compiles without
/// this.
#pragma once
#include <flamingo/config/presets/clip.hpp>
#include <flamingo/config/presets/nfnet.hpp>
#include <flamingo/eval/embed.hpp>
#include <flamingo/eval/retrieval.hpp>
#include <flamingo/eval/zero_shot.hpp>
#include <flamingo/model/clip/dual_encoder.hpp>
#include <flamingo/model/contrastive/dual_encoder.hpp>
#include <flamingo/model/vision/encoder.hpp>
#include <flamingo/train/contrastive.hpp>
