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
#include <flamingo/train/checkpoints.hpp>

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
  fs::path shards, folder;
  int readers = 0;
  long dies_at = 0;  ///< the step between whose batches the process kills itself
  bool restores_loaders = true;

  /// A training program: goes on where its checkpoints say, and writes down which batches it sees.
  void operator()() const {
    const io::Tokenizer tokenizer = letters();
    Mixture mixture;
    mixture.add(loader_of(shards, "pages", tokenizer, readers));
    mixture.add(loader_of(shards, "pairs", tokenizer, readers));
    ResumeCase c;
    Checkpoints checkpoints(folder);
    checkpoints.resume(
        [&](const fs::path& path) {
          load_checkpoint(path, c.trainer);
          if (restores_loaders) mixture.restore(io::Json::parse(checkpoint_note(path, "data")));
        },
        [](const std::string&) {});
    const int file = ::open((folder / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
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
        checkpoints.save(step, [&](const fs::path& path) {
          save_checkpoint(path, c.trainer, {{"data", mixture.state().dump()}});
        });
    }
    ::close(file);
  }

  /// The same in a process of its own, killed after a time, or where it kills itself. Whether the kill hit.
  bool killed_after(std::chrono::duration<double> time) const {
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
    int status = 0;
    const auto end = std::chrono::steady_clock::now() + time;
    pid_t ended = 0;
    while (dies_at == 0 && ended == 0 && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      ended = ::waitpid(child, &status, WNOHANG);
    }
    if (dies_at == 0 && ended == 0) ::kill(child, SIGKILL);
    if (ended == 0) ended = ::waitpid(child, &status, 0);
    REQUIRE(ended == child);
    CHECK((WIFSIGNALED(status) || WEXITSTATUS(status) == 0));
    return WIFSIGNALED(status);
  }

  /// The newest file, whose name has its checksum.
  fs::path newest() const { return Checkpoints(folder).files().at(0); }
  long reached() const {
    ResumeCase c;
    return load_checkpoint(newest(), c.trainer);
  }
  std::vector<float> weights() const {
    ResumeCase c;
    load_checkpoint(newest(), c.trainer);
    return {c.trainer.weights.flat.begin(), c.trainer.weights.flat.end()};
  }
  /// What each dataset gave at each step, in every process that made the step.
  std::multimap<std::string, std::string> batches() const {
    std::multimap<std::string, std::string> seen;
    std::ifstream file(folder / "log");
    for (std::string step, name, print; file >> step >> name >> print;) seen.emplace(name + ' ' + step, print);
    return seen;
  }

  /// Neither the last checkpoint nor any batch tells that the run was broken.
  void equals(const Run& straight) const {
    CHECK(newest().filename() == straight.newest().filename());
    CHECK(read_bytes(newest()) == read_bytes(straight.newest()));
    const auto expected = straight.batches(), seen = batches();
    CHECK(seen.size() >= expected.size());
    for (const auto& [place, print] : expected) CHECK(seen.count(place) > 0);
    for (const auto& [place, print] : seen) {
      INFO(place);
      CHECK(print == expected.find(place)->second);
    }
  }
};

/// A byte of the newest checkpoint changes, as on a bad disk.
void damage(const Run& run, Random& draw) {
  const auto files = Checkpoints(run.folder).files();
  if (files.size() < 2) return;
  std::fstream file(files[0], std::ios::in | std::ios::out | std::ios::binary);
  const auto at = draw.below(static_cast<int>(fs::file_size(files[0])));
  file.seekg(at);
  const char was = static_cast<char>(file.get());
  file.seekp(at);
  file.put(static_cast<char>(was ^ 1));
}

/// Runs killed at drawn moments (loading, reading data, updates, saves) and resumed until `kills` have hit; every fifth
/// time the newest checkpoint is damaged besides. A run that reaches its end is compared, and another begun. Returns
/// how many reached it.
int check_kills(const fs::path& shards, const Run& straight, std::chrono::duration<double> whole, int kills,
                int readers) {
  Random draw(61, static_cast<std::uint64_t>(readers));
  int hits = 0, ends = 0;
  Run run;
  const auto begin = [&] {
    run = Run{shards, shards / ("killed-" + std::to_string(readers) + '-' + std::to_string(ends)), readers};
    fs::create_directories(run.folder);
  };
  const auto end = [&] {
    run.equals(straight);
    fs::remove_all(run.folder);
    ++ends;
    begin();
  };
  begin();
  run.dies_at = 20;  // once in the middle for certain, two steps after a checkpoint
  hits += run.killed_after({});
  CHECK(run.reached() == 18);
  run.dies_at = 0;
  while (hits < kills) {
    // Other work on the machine makes a process slower or faster: moments are drawn from what a run lately took.
    const bool hit = run.killed_after(whole * (0.4 * static_cast<double>(draw.uniform())));
    whole *= hit ? 1.02 : 0.8;
    if (!hit)
      end();
    else if (++hits % 5 == 0)
      damage(run, draw);
  }
  run();
  end();
  return ends;
}

/// A run that nothing breaks, and how long it takes.
std::pair<Run, std::chrono::duration<double>> unbroken(const fs::path& shards) {
  const Run straight{shards, shards / "straight"};
  const auto begun = std::chrono::steady_clock::now();
  straight();
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - begun;
  REQUIRE(straight.batches().size() == 2 * steps_of_run);
  return {straight, whole};
}

}  // namespace

TEST_CASE("a trainer and its loaders, killed and resumed together, give the bits of an unbroken run", "[resume]") {
  const TemporaryFolder folder;
  write_shards(folder.path());
  const auto [straight, whole] = unbroken(folder.path());
  for (const int readers : {1, 4}) {
    INFO(readers << " readers of each dataset");
    check_kills(folder.path(), straight, whole, 10, readers);
  }

  // It is the loaders' state that does this: without it the weights are others.
  Run forgetful{folder.path(), folder.path() / "forgetful", 1};
  forgetful.restores_loaders = false;
  forgetful.dies_at = 20;
  forgetful.killed_after({});
  forgetful.dies_at = 0;
  forgetful();
  CHECK(forgetful.weights() != straight.weights());
}

TEST_CASE("200 kills leave the bits of an unbroken run", "[.all]") {
  const TemporaryFolder folder;
  write_shards(folder.path());
  const auto [straight, whole] = unbroken(folder.path());
  const int ends = check_kills(folder.path(), straight, whole, 200, 2);
  WARN("200 kills, " << ends << " runs reached their end, each with the bits of the unbroken one");
}

}  // namespace resume_test
