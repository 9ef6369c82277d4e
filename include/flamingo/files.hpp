/// What comes from and goes to files: weights, checkpoints, tokenizers, documents, progress lines. Reading pictures
/// needs the component `stb` (io/image_file.hpp) or `images` (io/image_codecs.hpp), SentencePiece models `text`
/// (io/sentencepiece.hpp).
#pragma once
#include <flamingo/data/document.hpp>
#include <flamingo/io/checkpoint.hpp>
#include <flamingo/io/gguf.hpp>
#include <flamingo/io/safetensors.hpp>
#include <flamingo/io/text_stream.hpp>
#include <flamingo/io/tokenizer.hpp>
#include <flamingo/model/clip/load_clip.hpp>
#include <flamingo/model/decoders/llama_names.hpp>
#include <flamingo/model/open_flamingo_names.hpp>
#include <flamingo/model/vision/efficientnet_io.hpp>
#include <flamingo/model/weights.hpp>
#include <flamingo/train/checkpoint.hpp>
#include <flamingo/train/contrastive.hpp>
#include <flamingo/train/progress.hpp>
#include <flamingo/train/state_file.hpp>
