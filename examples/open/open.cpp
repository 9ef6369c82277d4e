// Opens the checkpoint that this program was built for, and answers a prompt of texts and pictures:
//
//   cmake --preset release -DFLAMINGO_CHECKPOINT=FOLDER && cmake --build build/release --target open
//   build/release/examples/open FOLDER @cats.jpg "Output: two cats." @query.jpg "Output:"
//
// The folder is OpenFlamingo's (checkpoint.pt, lm/, vision.pt), Idefics' or Llama 3.2 Vision's. Its config is written
// into a header while building (flamingo_config in CMake): sizes are compiled in.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <checkpoint.hpp>

#include "families.hpp"

#include <flamingo/io/image_codecs.hpp>
#include <flamingo/io/sentencepiece.hpp>
#include <flamingo/io/text_stream.hpp>

namespace {

namespace fs = std::filesystem;
using opened::P;
using Loaded = flamingo::LoadedModel<checkpoint, P>;
using Model = Loaded::Model;
using Family = opened::Family<checkpoint>;

constexpr const char* usage =
    "usage: open FOLDER [--held stored|bf16|int8|floats] [--tokens N] [--threads N] [--report on] PART...\n"
    "  PART    a text, or @FILE: a picture\n"
    "  report  times and memory, on the error stream\n";

struct Options {
  fs::path folder;
  flamingo::Held held = flamingo::Held::as_stored;
  int tokens = 32, threads = 0;
  bool report = false;
  flamingo::Document prompt;
};

Options parse(int argc, char** argv) {
  Options o;
  flamingo::check(argc >= 3, "open", usage);
  o.folder = argv[1];
  for (int i = 2; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (!word.starts_with("--")) {
      if (word.starts_with("@"))
        o.prompt.image(word.substr(1));
      else
        o.prompt.text(word);
      continue;
    }
    flamingo::check(i + 1 < argc, "open", word, " has no value\n", usage);
    const std::string_view value = argv[++i];
    if (word == "--tokens") {
      o.tokens = std::atoi(argv[i]);
    } else if (word == "--threads") {
      o.threads = std::atoi(argv[i]);
    } else if (word == "--report") {
      o.report = value == "on";
    } else {
      flamingo::check(word == "--held", "open", "unknown option ", word, '\n', usage);
      using flamingo::Held;
      o.held = value == "bf16"     ? Held::as_bf16
               : value == "int8"   ? Held::as_int8
               : value == "floats" ? Held::as_floats
                                   : Held::as_stored;
      flamingo::check(value == "stored" || o.held != Held::as_stored, "open", "--held ", value, '\n', usage);
    }
  }
  return o;
}

/// Seconds since it was made, and what the process holds: memory of its own, and pages of mapped files.
class Report {
 public:
  explicit Report(bool on) : on_(on) {}
  void operator()(std::string_view what) const {
    if (!on_) return;
    const std::chrono::duration<double> gone = std::chrono::steady_clock::now() - begun_;
    std::cerr << what << " after " << gone.count() << " s; own memory " << status("RssAnon:") << ", mapped files "
              << status("RssFile:") << '\n';
  }

 private:
  static std::string status(std::string_view name) {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);)
      if (line.starts_with(name)) return std::to_string(std::atol(line.c_str() + name.size()) / 1024) + " MiB";
    return "unknown";
  }
  bool on_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

int run(const Options& o) {
  const Report report(o.report);
  const auto tokenizer =
      flamingo::io::Tokenizer::from_folder(Family::tokenizer(o.folder), flamingo::io::read_sentencepiece);
  opened::Prompt prompt = Family::prompt(o.prompt, tokenizer);
  const Loaded model = flamingo::load<checkpoint, P>(o.folder, flamingo::HeldParts::all(o.held));
  report("weights are there");
  flamingo::Context<P> ctx(o.threads);
  auto engine = flamingo::make_engine<Model>(ctx, model.connector.views, model.lm.views);

  std::vector<flamingo::CachedMedium> media;
  for (const auto* part : o.prompt.media()) {
    const auto picture = flamingo::io::read_raw<flamingo::io::Codecs>(part->frames[0]);
    const opened::Features features = Family::encode(ctx, model, picture);
    const int width = static_cast<int>(features.rows.size()) / features.count;
    media.push_back(
        engine.add_medium(flamingo::Rows<P, flamingo::dynamic, const float>{features.rows.data(), features.count,
                                                                            flamingo::Extent<flamingo::dynamic>(width)},
                          1, static_cast<int>(media.size()), features.visible));
  }
  report("pictures are read");
  auto state = engine.begin(prompt.sequence, media);
  const flamingo::GenerateOptions options{.max_new_tokens = o.tokens, .stop_ids = prompt.stop, .banned = prompt.banned};
  flamingo::io::TextStream text(tokenizer);
  // A model may have more rows than its tokenizer has tokens.
  for (const int id : flamingo::generate(engine, state, options).ids)
    std::cout << (id < tokenizer.size() ? text.push(id) : '<' + std::to_string(id) + '>');
  std::cout << text.finish() << '\n';
  report("the answer is written");
  return 0;
}

}  // namespace

int main(int argc, char** argv) try { return run(parse(argc, argv)); } catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
