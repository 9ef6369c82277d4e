// A trainer and its loaders, killed and resumed together: neither weights nor batches tell of it.
#include <flamingo/train/checkpoint.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <flamingo/data/loader/mixture.hpp>
#include <flamingo/data/media/image_reader.hpp>
#include <flamingo/data/shards/shard_writer.hpp>
#include <flamingo/io/image_codecs.hpp>

#include "io/files.hpp"
#include "train/trainer_case.hpp"

namespace resume_test {

using namespace flamingo;
using namespace flamingo::test;
using flamingo::tests::read_bytes;
using flamingo::tests::TemporaryFolder;

namespace {

namespace fs = std::filesystem;
using ResumeCase = TrainerCase<Cpu<float>>;
constexpr long steps_of_run = 40, steps_a_checkpoint = 3;
constexpr std::array photographs{"coffee.jpg", "coffee_palette.png", "rocket_rgba.png", "rocket_progressive_444.jpg",
                                 "grey.jpg",   "two_frames.gif",     "photograph.bmp",  "subsampled.jpg"};

/// The eleven ids of the tiny model: seven letters and four tags.
io::Tokenizer letters() {
  io::Vocabulary vocabulary;
  vocabulary.tokens = {"a", "b", "c", "d", "e", "f", "g", "<bos>", "<image>", "<eoc>", "<eos>"};
  for (const std::int32_t id : {7, 8, 9, 10})
    vocabulary.added.push_back({.id = id, .text = vocabulary.tokens[static_cast<std::size_t>(id)], .special = true});
  return io::Tokenizer(vocabulary);
}

/// Shards of 13 captioned pictures and of 7 pages, one picture of each broken.
void write_shards(const fs::path& folder) {
  const auto file = [](std::size_t n) {
    const fs::path path = fs::path(FLAMINGO_TEST_DATA) / "fixtures/images" / photographs.at(n % photographs.size());
    return std::pair(path.extension().string().substr(1), n == 5 ? std::string("broken") : read_bytes(path));
  };
  ShardWriter pairs(folder / "pairs", "pairs", {.samples = 4}), pages(folder / "pages", "pages", {.samples = 3});
  for (std::size_t n = 0; n < 13; ++n) {
    const auto [extension, bytes] = file(n);
    const std::string caption{"abcdefg"[n % 7], "abcdefg"[n / 7]};
    pairs.add("s" + std::to_string(n), std::vector<SampleField>{{extension, bytes}, {"txt", caption}});
  }
  for (std::size_t n = 0; n < 7; ++n) {
    const auto [first, bytes] = file(n);
    const auto [second, more] = file(n + 3);
    const std::string json = R"({"texts":["ab",null,"cdef",null,"gaab"],"images":[null,"0.)" + first + R"(",null,"1.)" +
                             second + R"(",null]})";
    pages.add("p" + std::to_string(n),
              std::vector<SampleField>{{"json", json}, {"0." + first, bytes}, {"1." + second, more}});
  }
  pairs.finish({});
  pages.finish({});
}

std::unique_ptr<Loader> loader_of(const fs::path& shards, const char* name, const io::Tokenizer& tokenizer,
                                  int readers) {
  DatasetOptions options{.name = name, .shards = shards / name};
  options.window = std::string_view(name) == "pages" ? WindowOptions::pages(8, 2) : WindowOptions::pairs(8);
  options.batch = {.documents = 3, .tokens = 20};
  options.image = {.side = 4, .flip = 0.5f, .smallest = 0.7f, .brightness = 0.4f};
  options.buffer = 5;
  options.threads = readers;
  return std::make_unique<Loader>(options, tokenizer, Tags::of(tokenizer, "<bos>", "<image>", "<eoc>", "<eos>"),
                                  MediaReaders{.image = image_reader<io::Codecs>(), .video = {}});
}

/// Three cells of a picture's colours for an encoder's features.
TrainingBatch<float> batch_of(LoadedBatch loaded) {
  TrainingBatch<float> batch;
  for (const LoadedMedium& medium : loaded.media) {
    batch.media.push_back({static_cast<int>(batch.features.size()) / ResumeCase::width, 3, 1, medium.place});
    const io::Image& picture = loaded.frames[static_cast<std::size_t>(medium.first_frame)];
    for (std::size_t i = 0; i < std::size_t{3} * ResumeCase::width; ++i)
      batch.features.push_back(static_cast<float>(picture.rgb[3 * i % picture.rgb.size()]) / 255);
  }
  batch.sequences = std::move(loaded.sequences);
  return batch;
}

std::uint64_t print_of(const LoadedBatch& batch) {
  std::string text;
  for (const std::string& key : batch.keys) text += key + ' ';
  for (const Sequence& s : batch.sequences)
    for (const auto* list : {&s.ids, &s.phi, &s.targets})
      for (const int value : *list) text += std::to_string(value) + ' ';
  for (const io::Image& frame : batch.frames) text.append(frame.rgb.begin(), frame.rgb.end());
  return hash(text);
}

struct Run {
  fs::path shards, checkpoint, log;
  int readers = 0;
  long dies_at = 0;  ///< the step between whose batches the process kills itself
  bool restores_loaders = true;

  /// A training program: goes on where its checkpoint says, and writes down which batches it sees.
  void operator()() const {
    const io::Tokenizer tokenizer = letters();
    Mixture mixture;
    mixture.add(loader_of(shards, "pages", tokenizer, readers));
    mixture.add(loader_of(shards, "pairs", tokenizer, readers));
    ResumeCase c;
    if (fs::exists(checkpoint)) {
      load_checkpoint(checkpoint, c.trainer);
      if (restores_loaders) mixture.restore(io::Json::parse(checkpoint_note(checkpoint, "data")));
    }
    const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    const auto dataset = [&](const char* name, double weight) {
      return DatasetStream<float>{name, weight, [this, &mixture, name, file](long step) {
                                    LoadedBatch batch = *mixture[name].next();
                                    const std::string line = std::to_string(step) + ' ' + name + ' ' +
                                                             std::to_string(print_of(batch)) + '\n';
                                    if (step == dies_at && std::string_view(name) == "pairs") ::raise(SIGKILL);
                                    check(::write(file, line.data(), line.size()) > 0, "run", "no line was written");
                                    return batch_of(std::move(batch));
                                  }};
    };
    while (c.trainer.optimizer.steps() < steps_of_run) {
      c.trainer.update({dataset("pages", 1), dataset("pairs", 0.2)});
      const long step = c.trainer.optimizer.steps();
      if (step % steps_a_checkpoint == 0 || step == steps_of_run)
        save_checkpoint(checkpoint, c.trainer, {{"data", mixture.state().dump()}});
    }
    ::close(file);
  }

  /// The same in a process of its own, killed after a time, or where it kills itself.
  void killed_after(std::chrono::duration<double> time) const {
    const pid_t child = ::fork();
    if (child == 0) {
      int status = 1;
      try {
        (*this)();
        status = 0;
      } catch (...) {
      }
      ::_exit(status);
    }
    REQUIRE(child > 0);
    std::this_thread::sleep_for(time);
    if (dies_at == 0) ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK((WIFSIGNALED(status) || WEXITSTATUS(status) == 0));
  }

  long reached() const {
    ResumeCase c;
    return fs::exists(checkpoint) ? load_checkpoint(checkpoint, c.trainer) : 0;
  }
  std::vector<float> weights() const {
    ResumeCase c;
    load_checkpoint(checkpoint, c.trainer);
    return {c.trainer.weights.flat.begin(), c.trainer.weights.flat.end()};
  }
  /// What each dataset gave at each step, in every process that made the step.
  std::multimap<std::string, std::string> batches() const {
    std::multimap<std::string, std::string> seen;
    std::ifstream file(log);
    for (std::string step, name, print; file >> step >> name >> print;) seen.emplace(name + ' ' + step, print);
    return seen;
  }
};

}  // namespace

TEST_CASE("a trainer and its loaders, killed and resumed together, give the bits of an unbroken run", "[resume]") {
  const TemporaryFolder folder;
  write_shards(folder.path());
  const auto run = [&](const char* name, int readers) {
    return Run{folder.path(), folder.path() / (std::string(name) + ".safetensors"),
               folder.path() / (std::string(name) + ".log"), readers};
  };
  const Run straight = run("straight", 0);
  const auto begun = std::chrono::steady_clock::now();
  straight();
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - begun;
  const auto expected = straight.batches();
  REQUIRE(expected.size() == 2 * steps_of_run);

  Random draw(61);
  for (const int readers : {1, 4}) {
    INFO(readers << " readers of each dataset");
    Run killed = run(readers == 1 ? "one" : "four", readers);
    killed.dies_at = 20;  // once in the middle for certain, two steps after a checkpoint, then wherever it hits
    killed.killed_after({});
    CHECK(killed.reached() == 18);
    killed.dies_at = 0;
    for (int i = 0; i < 6; ++i) killed.killed_after(whole * (0.3 * static_cast<double>(draw.uniform())));
    killed();
    CHECK(read_bytes(killed.checkpoint) == read_bytes(straight.checkpoint));
    const auto seen = killed.batches();
    CHECK(seen.size() >= expected.size());
    for (const auto& [place, print] : expected) CHECK(seen.count(place) > 0);
    for (const auto& [place, print] : seen) {
      INFO(place);
      CHECK(print == expected.find(place)->second);
    }
  }

  // It is the loaders' state that does this: without it the weights are others.
  Run forgetful = run("forgetful", 1);
  forgetful.restores_loaders = false;
  forgetful.dies_at = 20;
  forgetful.killed_after({});
  forgetful.dies_at = 0;
  forgetful();
  CHECK(forgetful.weights() != straight.weights());
}

}  // namespace resume_test
