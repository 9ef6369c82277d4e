#include <flamingo/data/loader/mixture.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <flamingo/data/shards/shard_writer.hpp>

#include "io/files.hpp"

namespace mixture_test {

using namespace flamingo;
using flamingo::tests::TemporaryFolder;

namespace {

io::Tokenizer two_letters() {
  io::Vocabulary vocabulary;
  vocabulary.tokens = {"a", "b", "<i>", "<e>"};
  for (const std::int32_t id : {2, 3})
    vocabulary.added.push_back({.id = id, .text = vocabulary.tokens[static_cast<std::size_t>(id)], .special = true});
  return io::Tokenizer(vocabulary);
}
const io::Tokenizer letters = two_letters();

struct Datasets {
  Datasets() {
    for (const char* name : {"x", "y"}) {
      ShardWriter writer(folder.path() / name, name, {.samples = 4});
      for (int n = 0; n < 13; ++n)
        writer.add(name + std::to_string(n),
                   std::vector<SampleField>{{"jpg", "1"}, {"txt", std::string(static_cast<std::size_t>(n + 1), 'a')}});
      writer.finish({});
    }
  }
  std::unique_ptr<Loader> loader(const char* name, int threads) const {
    DatasetOptions options{.name = name, .shards = folder.path() / name, .window = WindowOptions::pairs(32)};
    options.batch.documents = 3;
    options.image.side = 2;
    options.threads = threads;
    const auto white = [](std::span<const std::byte>, std::string_view, int) {
      return io::RawImage{.width = 1, .height = 1, .samples = {255, 255, 255}};
    };
    return std::make_unique<Loader>(options, letters, Tags::of(letters, "", "<i>", "<e>"), MediaReaders{white, {}});
  }
  TemporaryFolder folder;
};

}  // namespace

TEST_CASE("a mixture's position is one value that goes through text", "[mixture]") {
  const Datasets datasets;
  Mixture straight;
  straight.add(datasets.loader("x", 1));
  straight.add(datasets.loader("y", 2));
  std::string saved;
  std::vector<std::vector<std::string>> after;
  for (int step = 0; step < 12; ++step) {
    if (step == 7) saved = straight.state().dump();
    for (std::size_t d = 0; d < straight.size(); ++d) {
      const auto batch = straight[d].next();
      if (step >= 7) after.push_back(batch->keys);
    }
  }
  Mixture resumed;
  resumed.add(datasets.loader("y", 0));  // the order of the datasets and their threads are free
  resumed.add(datasets.loader("x", 3));
  resumed.restore(io::Json::parse(saved));
  for (std::size_t n = 0; n < after.size(); n += 2) {
    CHECK(resumed["x"].next()->keys == after[n]);
    CHECK(resumed["y"].next()->keys == after[n + 1]);
  }
  Mixture other;
  other.add(datasets.loader("x", 0));
  CHECK_THROWS_WITH(other.restore(io::Json::parse("{}")), "[mixture] the state has no dataset named x");
  CHECK_NOTHROW(other.restore(io::Json::parse("{}"), true));
  CHECK_THROWS_WITH(other["z"], "[mixture] there is no dataset named z");
  CHECK_THROWS_WITH(other.add(datasets.loader("x", 0)), "[mixture] two datasets are named x");
  CHECK_THROWS_AS(other.add(datasets.loader("y", 0), -1), Error);
}

TEST_CASE("draws follow the weights and are functions of the step", "[mixture]") {
  const Datasets datasets;
  Mixture mixture;
  mixture.add(datasets.loader("x", 0), 1.0);
  mixture.add(datasets.loader("y", 0), 0.25);
  std::array<int, 2> drawn{};
  for (std::int64_t step = 0; step < 5000; ++step) {
    ++drawn.at(mixture.draw(3, step));
    CHECK(mixture.draw(3, step) == mixture.draw(3, step));
  }
  CHECK((drawn[1] > 900 && drawn[1] < 1100));
  Mixture none;
  none.add(datasets.loader("x", 0), 0);
  CHECK_THROWS_WITH(none.draw(1, 1), "[mixture] no dataset has a weight");
}

}  // namespace mixture_test
