#include <flamingo/train/fine_tuning.hpp>

#include <catch2/catch.hpp>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/files.hpp"
#include "train/trainer_case.hpp"

namespace fine_tuning_test {

using namespace flamingo;
using namespace flamingo::test;
using flamingo::tests::error_of;
using flamingo::tests::read_bytes;
using flamingo::tests::TemporaryFolder;

namespace {

namespace fs = std::filesystem;
using TuningCase = TrainerCase<Cpu<float>>;

/// Fine-tunes by three choices; the process "dies" when it asks for the batch of its `dies_at`-th update.
std::vector<FineTuned> tune(const fs::path& folder, int& updates, int dies_at = -1) {
  const std::vector<FineTuningChoice> grid{{0.001, 4, false}, {0.05, 4, false}, {1e-9, 4, true}};
  return run_grid(folder, grid, [&](const FineTuningChoice& choice, const fs::path& run) {
    TuningCase c({.peak = choice.rate, .warmup = 1});
    const auto held_out = TuningCase::batch(5000, 20);
    const DatasetStream<float> data{"task", 1, [&](long step) {
                                      if (updates++ == dies_at) throw std::runtime_error("killed");
                                      return TuningCase::batch(static_cast<std::uint64_t>(step), choice.batch);
                                    }};
    return fine_tune(run, c.trainer, data, 30, 4, [&] { return c.trainer.pass(held_out, 0).loss; });
  });
}

}  // namespace

TEST_CASE("the paper's grid has each rate, batch and augmentation, under names of their own", "[fine_tuning]") {
  const auto grid = fine_tuning_grid();
  REQUIRE(grid.size() == 16);
  std::set<std::string> names;
  for (const FineTuningChoice& choice : grid) names.insert(choice.name());
  CHECK(names.size() == 16);
  CHECK((names.count("rate-1e-05-batch-8") == 1 && names.count("rate-3e-08-batch-16-augmented") == 1));
  CHECK(fine_tuning_grid(100).front().rate == Approx(1e-3));
  CHECK_THROWS_WITH(run_grid("nowhere", {}, {}), "[fine_tuning] a grid without choices");
}

TEST_CASE("a grid selects by validation, and stopped anywhere it goes on to the same bits", "[fine_tuning]") {
  const TemporaryFolder folder;
  int updates = 0;
  const auto straight = tune(folder.path() / "straight", updates);
  CHECK(updates == 90);
  REQUIRE(straight.size() == 3);
  CHECK((straight[0].choice.rate == 0.05 && straight[1].choice.rate == 0.001 && straight[2].choice.augmented));
  CHECK(straight[0].result.loss < 0.9 * straight[2].result.loss);

  // What was selected is what had that loss.
  TuningCase c;
  CHECK(load_checkpoint(selected_checkpoint(straight[0].run), c.trainer) == straight[0].result.step);
  CHECK(c.trainer.pass(TuningCase::batch(5000, 20), 0).loss == straight[0].result.loss);

  std::vector<FineTuned> stopped;
  int asked = 0, deaths = 0;
  for (const int dies_at : {10, 13, 50, 51}) {
    int since = 0;
    try {
      stopped = tune(folder.path() / "stopped", since, dies_at);
    } catch (const std::runtime_error&) {
      ++deaths;
    }
    asked += since;
  }
  CHECK((deaths == 3 && asked < 90 + 4 * 5));  // at most the steps since a checkpoint are repeated
  REQUIRE(stopped.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK((stopped[i].choice.name() == straight[i].choice.name() && stopped[i].result.step == straight[i].result.step));
    CHECK(stopped[i].result.loss == straight[i].result.loss);
    CHECK(read_bytes(selected_checkpoint(stopped[i].run)) == read_bytes(selected_checkpoint(straight[i].run)));
    CHECK(read_bytes(stopped[i].run / "log.jsonl") == read_bytes(straight[i].run / "log.jsonl"));
  }
  int none = 0;
  CHECK(tune(folder.path() / "straight", none)[0].result.loss == straight[0].result.loss);
  CHECK(none == 0);
  std::ofstream(straight[0].run / "result.json") << "{\"loss\":1}";
  CHECK_THAT(error_of([&] { tune(folder.path() / "straight", none); }),
             Catch::EndsWith("result.json: expected a loss and a step"));
}

}  // namespace fine_tuning_test
