#include <flamingo/data/loader/loader.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/data/shards/shard_writer.hpp>

#include "io/files.hpp"

namespace loader_test {

using namespace flamingo;
using flamingo::tests::TemporaryFolder;

namespace {

io::Tokenizer tiny() {
  io::Vocabulary vocabulary;
  vocabulary.tokens = {"a", "b", "c", "d", "e", "f", "g", "h", "<bos>", "<image>", "<eoc>", "<eos>"};
  for (const std::int32_t id : {8, 9, 10, 11})
    vocabulary.added.push_back({.id = id, .text = vocabulary.tokens[static_cast<std::size_t>(id)], .special = true});
  return io::Tokenizer(vocabulary);
}
const io::Tokenizer tokenizer = tiny();
const Tags tags = Tags::of(tokenizer, "<bos>", "<image>", "<eoc>", "<eos>");

/// Pictures whose file is one byte, their grey; '!' is a broken file. A video has as many frames as bytes.
io::Image grey(std::byte value) { return {4, 2, std::vector<std::uint8_t>(24, std::to_integer<std::uint8_t>(value))}; }
const MediaReaders readers{
    .image =
        [](std::span<const std::byte> file, std::string_view name, int) {
          check(file[0] != std::byte{'!'}, "read", name, ": broken");
          return io::raw_of(grey(file[0]));
        },
    .video =
        [](std::span<const std::byte> file, std::string_view, const FrameSampling& clip, double) {
          std::vector<io::Image> frames;
          for (const std::byte b : file.first(std::min(file.size(), static_cast<std::size_t>(clip.frames))))
            frames.push_back(grey(b));
          return frames;
        }};

/// Shards of pairs: `samples` pictures of the grey 'A' + n % 26, with captions that tell n in letters.
void write_pairs(const std::filesystem::path& folder, int samples, int per_shard, std::string_view broken = {}) {
  ShardWriter writer(folder, "pairs", {.samples = per_shard});
  for (int n = 0; n < samples; ++n) {
    std::string caption;
    for (int rest = n + 1; rest > 0; rest /= 8) caption += static_cast<char>('a' + rest % 8);
    const bool is_broken = std::find(broken.begin(), broken.end(), static_cast<char>('A' + n)) != broken.end();
    const std::string picture(1, is_broken ? '!' : static_cast<char>('A' + n % 26));
    writer.add("s" + std::to_string(n), std::vector<SampleField>{{"jpg", picture}, {"txt", caption}});
  }
  writer.finish({});
}
DatasetOptions pairs(const std::filesystem::path& folder) {
  return {.name = "pairs",
          .shards = folder,
          .window = WindowOptions::pairs(32),
          .batch = {.documents = 5, .tokens = 40},
          .image = {.side = 4, .flip = 0.5f, .brightness = 0.4f},
          .seed = 11,
          .buffer = 8,
          .threads = 0};
}

bool same(const LoadedBatch& a, const LoadedBatch& b) {
  if (a.keys != b.keys || a.frames != b.frames || a.media.size() != b.media.size()) return false;
  for (std::size_t i = 0; i < a.media.size(); ++i)
    if (a.media[i].first_frame != b.media[i].first_frame || a.media[i].frames != b.media[i].frames) return false;
  for (std::size_t i = 0; i < a.sequences.size(); ++i) {
    const Sequence &s = a.sequences[i], &t = b.sequences[i];
    if (s.ids != t.ids || s.phi != t.phi || s.targets != t.targets || s.first_medium != t.first_medium) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("an epoch delivers every sample once, in bounded ragged batches, and ends", "[loader]") {
  const TemporaryFolder folder;
  write_pairs(folder.path(), 50, 7);  // shards of 7 and one of 1
  DatasetOptions options = pairs(folder.path());
  options.epochs = 1;
  Loader loader(options, tokenizer, tags, readers);
  CHECK(loader.size() == 50);
  std::vector<std::string> keys;
  std::vector<std::size_t> sizes;
  while (const auto batch = loader.next()) {
    CHECK((batch->tokens() <= 40 && batch->sequences.size() <= 5));
    CHECK(batch->media.size() == batch->sequences.size());
    for (std::size_t i = 0; i < batch->sequences.size(); ++i) {
      CHECK(batch->sequences[i].first_medium == static_cast<int>(i));
      CHECK((batch->frames[i].width == 4 && batch->frames[i].height == 4));
    }
    keys.insert(keys.end(), batch->keys.begin(), batch->keys.end());
    sizes.push_back(batch->sequences.size());
  }
  CHECK_FALSE(loader.next());
  CHECK(keys.size() == 50);
  std::vector<std::string> sorted = keys;
  std::sort(sorted.begin(), sorted.end());
  CHECK(std::unique(sorted.begin(), sorted.end()) == sorted.end());
  CHECK(keys[0] + keys[1] + keys[2] != "s0s1s2");
  CHECK(*std::max_element(sizes.begin(), sizes.end()) == 5);
}

TEST_CASE("kill and resume anywhere gives the same batches, bit for bit, with any number of threads", "[loader]") {
  const TemporaryFolder folder;
  write_pairs(folder.path(), 43, 9, "CKLT");
  DatasetOptions options = pairs(folder.path());
  Loader straight(options, tokenizer, tags, readers);
  std::vector<LoadedBatch> expected;
  std::vector<std::string> states{straight.state().dump()};
  for (int n = 0; n < 60; ++n) {  // several epochs
    expected.push_back(*straight.next());
    states.push_back(straight.state().dump());
  }
  CHECK((expected.back().keys != expected.front().keys && straight.skipped_samples() > 12));
  Random random(4);
  for (const int threads : {0, 1, 4})
    for (int kill = 0; kill < 10; ++kill) {
      options.threads = threads;
      Loader loader(options, tokenizer, tags, readers);
      const int first = kill == 0 ? 0 : random.below(50);
      // What a run does before it is restored leaves no trace.
      for (int n = random.below(4); n > 0; --n) loader.next();
      loader.restore(io::Json::parse(states[static_cast<std::size_t>(first)]));
      for (int n = first; n < first + 10; ++n) {
        CHECK(same(*loader.next(), expected[static_cast<std::size_t>(n)]));
        CHECK(loader.state().dump() == states[static_cast<std::size_t>(n) + 1]);
      }
    }
}

TEST_CASE("four processes read what one reads, with uneven ends", "[loader]") {
  const TemporaryFolder folder;
  write_pairs(folder.path(), 43, 9);
  DatasetOptions options = pairs(folder.path());
  options.batch = {.documents = 1, .tokens = 32};
  Loader one(options, tokenizer, tags, readers);
  std::vector<std::unique_ptr<Loader>> parts;
  for (int part = 0; part < 4; ++part) {
    options.part = part;
    options.parts = 4;
    options.threads = part;
    parts.push_back(std::make_unique<Loader>(options, tokenizer, tags, readers));
  }
  for (int n = 0; n < 100; ++n) CHECK(same(*parts[static_cast<std::size_t>(n % 4)]->next(), *one.next()));
  const io::Json state = parts[1]->state();
  CHECK_THROWS_WITH(parts[2]->restore(state), Catch::Contains("the state's part is 1, this dataset's is 2"));
  options.part = 1;
  Loader again(options, tokenizer, tags, readers);
  again.restore(state);
  CHECK(same(*again.next(), *parts[1]->next()));
}

TEST_CASE("broken samples are skipped, counted and named", "[loader]") {
  const TemporaryFolder folder;
  write_pairs(folder.path(), 20, 6, "CK");
  std::filesystem::resize_file(folder.path() / "pairs-000003.tar", 2600);  // one sample of two is left
  DatasetOptions options = pairs(folder.path());
  options.epochs = 1;
  options.threads = 2;
  Loader loader(options, tokenizer, tags, readers);
  CHECK(loader.size() == 19);
  REQUIRE(loader.skipped_shards().size() == 2);
  CHECK_THAT(loader.skipped_shards()[0].reason, Catch::Contains("pairs-000003.tar: the index says"));
  std::size_t good = 0;
  while (const auto batch = loader.next()) good += batch->keys.size();
  CHECK((good == 17 && loader.skipped_samples() == 2 && loader.skipped_media() == 2));
  std::map<std::string, std::string> reasons;
  for (const Skipped& what : loader.skipped()) reasons[what.name] = what.reason;
  CHECK(reasons.at("s2 s2.jpg") == "[read] s2.jpg: broken");
  CHECK_THAT(reasons.at((folder.path() / "pairs-000001.tar").string() + " s10"),
             Catch::Contains("no image or video is left"));
}

TEST_CASE("a page keeps what is whole of it", "[loader]") {
  const TemporaryFolder folder;
  ShardWriter writer(folder.path(), "pages");
  const std::string json = R"({"texts":["ab",null,"cd",null,"ef"],"images":[null,"0.jpg",null,"1.jpg",null]})";
  writer.add("p", std::vector<SampleField>{{"json", json}, {"0.jpg", "!"}, {"1.jpg", "x"}});
  writer.add("q", std::vector<SampleField>{{"json", json}});
  writer.add("v", std::vector<SampleField>{{"mp4", "xyz"}, {"txt", "abc"}});
  writer.finish({});
  DatasetOptions options{.name = "pages", .shards = folder.path(), .window = WindowOptions::pages()};
  options.window.next = 0;
  options.shuffle = false;
  options.epochs = 1;
  options.clip.frames = 2;
  Loader loader(options, tokenizer, tags, readers);
  const auto batch = loader.next();
  REQUIRE((batch && batch->keys == std::vector<std::string>{"p", "v"}));
  CHECK(batch->sequences[0].ids == std::vector<int>{8, 0, 1, 2, 3, 10, 9, 4, 5, 10, 11});
  CHECK((batch->media[1].first_frame == 1 && batch->media[1].frames == 2 && batch->sequences[1].first_medium == 1));
  CHECK((loader.skipped_media() == 1 && loader.skipped_samples() == 1));
}

TEST_CASE("a caption can be changed before it is read", "[loader]") {
  const TemporaryFolder folder;
  write_pairs(folder.path(), 3, 3);
  DatasetOptions options = pairs(folder.path());
  options.window.leading_space = 0;
  options.caption = [](std::string_view) { return std::string("gg"); };
  Loader loader(options, tokenizer, tags, readers);
  CHECK(loader.next()->sequences[0].ids == std::vector<int>{8, 9, 6, 6, 10, 11});
}

TEST_CASE("loaders and states that make no sense are refused", "[loader]") {
  const TemporaryFolder folder;
  write_pairs(folder.path(), 3, 3, "ABC");
  DatasetOptions options = pairs(folder.path());
  Loader broken(options, tokenizer, tags, readers);
  CHECK_THROWS_WITH(broken.next(), Catch::Contains("none of 3 samples can be read"));
  options.batch.tokens = 31;
  CHECK_THROWS_WITH(Loader(options, tokenizer, tags, readers), Catch::Contains("31 tokens and"));
  options = pairs(folder.path());
  options.part = 2;
  CHECK_THROWS_AS(Loader(options, tokenizer, tags, readers), Error);
  options = pairs(folder.path());
  options.seed = 12;
  Loader other(options, tokenizer, tags, readers);
  const io::Json state = Loader(pairs(folder.path()), tokenizer, tags, readers).state();
  CHECK_THROWS_WITH(other.restore(state), Catch::Contains("the state's seed is \"11\", this dataset's is \"12\""));
  CHECK_THROWS_AS(other.restore(io::Json::parse("{}")), Error);
}

}  // namespace loader_test
