// How many captioned pictures a second the loader delivers: pairs SHARDS TOKENIZER [threads] [side] [seconds].
// bench/data/pairs.py runs it beside webdataset and Pillow.
#include <flamingo/data/loader/loader.hpp>
#include <flamingo/data/media/image_reader.hpp>
#include <flamingo/io/gguf.hpp>
#include <flamingo/io/image_codecs.hpp>
#include <flamingo/io/tokenizer.hpp>

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

using namespace flamingo;

int main(int count, char** words) try {
  check(count >= 3, "pairs", "usage: pairs SHARDS TOKENIZER [threads] [side] [seconds]");
  const std::filesystem::path file = words[2];
  const io::Tokenizer tokenizer =
      file.extension() == ".gguf" ? io::Tokenizer::from_gguf(io::Gguf(file)) : io::Tokenizer::from_json(file);
  DatasetOptions options{.name = "pairs", .shards = words[1], .window = WindowOptions::pairs(32)};
  options.batch = {.documents = 64};
  options.threads = count > 3 ? std::atoi(words[3]) : 1;
  options.image = {.side = count > 4 ? std::atoi(words[4]) : 224};
  const double most = count > 5 ? std::atof(words[5]) : 1e9;
  options.epochs = count > 5 ? 0 : 1;
  Loader loader(options, tokenizer, Tags::of(tokenizer, "", "<image>", "<EOC>"),
                {.image = image_reader<io::Codecs>(), .video = {}});
  long pictures = 0, tokens = 0;
  const auto begun = std::chrono::steady_clock::now();
  const auto gone = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count(); };
  while (gone() < most) {
    const auto batch = loader.next();
    if (!batch) break;
    pictures += static_cast<long>(batch->frames.size());
    tokens += batch->tokens();
  }
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  std::printf(
      "{\"pictures\": %ld, \"tokens\": %ld, \"seconds\": %.3f, \"processor_seconds\": %.3f, \"skipped\": %ld}\n",
      pictures, tokens, gone(), seconds(used.ru_utime) + seconds(used.ru_stime),
      static_cast<long>(loader.skipped_samples()));
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
