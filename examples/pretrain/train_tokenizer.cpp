// Trains a SentencePiece model with byte fall-back. examples/pretrain/run calls it.
#include <sentencepiece_trainer.h>

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>

#include <flamingo/core/check.hpp>

namespace {

constexpr const char* usage =
    "usage: train_tokenizer TEXT OUT [OPTION VALUE]...\n"
    "  TEXT               a file of sentences or documents, one a line\n"
    "  OUT                the model to write: NAME.model (and NAME.vocab, to be read)\n"
    "  --vocabulary N     pieces (default 4096), the 256 bytes among them\n"
    "  --kind KIND        unigram or bpe (default unigram)\n"
    "  --threads N        (default 2)\n";

int run(int argc, char** argv) {
  flamingo::check(argc >= 3 && argc % 2 == 1, "train_tokenizer", usage);
  const std::filesystem::path text = argv[1], out = argv[2];
  flamingo::check(std::filesystem::is_regular_file(text), "train_tokenizer", text.string(), " is no file");
  flamingo::check(out.extension() == ".model", "train_tokenizer", out.string(), " does not end in .model");
  std::string vocabulary = "4096", kind = "unigram", threads = "2";
  for (int i = 3; i < argc; i += 2) {
    const std::string_view name = argv[i];
    std::string* option = name == "--vocabulary" ? &vocabulary
                          : name == "--kind"     ? &kind
                          : name == "--threads"  ? &threads
                                                 : nullptr;
    flamingo::check(option, "train_tokenizer", "unknown option ", name, '\n', usage);
    *option = argv[i + 1];
  }
  // Written beside, then renamed: a model is there complete or not at all.
  const auto beside = out.parent_path() / (out.stem().string() + ".unfinished");
  const std::unordered_map<std::string, std::string> options{
      {"input", text.string()},
      {"model_prefix", beside.string()},
      {"model_type", kind},
      {"vocab_size", vocabulary},
      // What no piece covers becomes bytes, so that there is no unknown text; Chinchilla's tokenizer, unlike Gopher's,
      // normalises nothing.
      {"byte_fallback", "true"},
      {"normalization_rule_name", "identity"},
      {"character_coverage", "0.9999"},
      {"max_sentence_length", "65536"},
      {"num_threads", threads},
      {"minloglevel", "1"}};
  const auto status = sentencepiece::SentencePieceTrainer::Train(options);
  flamingo::check(status.ok(), "train_tokenizer", status.ToString());
  for (const char* extension : {".vocab", ".model"})
    std::filesystem::rename(beside.string() + extension, out.parent_path() / (out.stem().string() + extension));
  std::cout << out.string() << ": " << vocabulary << " pieces\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) try { return run(argc, argv); } catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
