#include <flamingo/train/split_model.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/dist/sum.hpp>
#include <flamingo/train/checkpoint.hpp>

#include "dist/split_weights.hpp"
#include "dist/threads.hpp"
#include "io/files.hpp"
#include "train/trainer_case.hpp"

namespace split_model_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<float>;
using Case = TrainerCase<P>;  // its batches

/// A model of which every other part may be divided by two.
constexpr auto divided_by(int lm, int gated) {
  auto c = trained_config;
  c.lm.kv_heads = 2;
  c.lm.hidden = 8;
  c.lm.split = lm;
  c.xattn.split = gated;
  return c;
}
constexpr int processes = 2;

template <auto C>
struct Run {
  using Decoder = DecoderOf<C.lm, P>;
  using Trains = Trainer<C, P, typename Store<Decoder, P>::Views>;

  Context<P> ctx{1, std::size_t{1} << 26};
  Store<Decoder, P> lm;
  Trains trainer;

  explicit Run(int rank = 0, TrainingOptions training = {})
      : trainer(ctx, lm.views, 1, {.peak = 0.02, .warmup = 0}, {}, training) {
    fill<DecoderOf<undivided(C).lm, P>>(lm, rank, processes_of(C));
    fill<TrainedOf<undivided(C), P, TrainedParts{}>>(trainer.weights, rank, processes_of(C));
  }
  std::vector<UpdateReport> updates(int count) {
    std::vector<UpdateReport> reports;
    for (int i = 0; i < count; ++i) reports.push_back(trainer.update({Case::dataset("shapes", 1, 7)}));
    return reports;
  }
};

template <auto C>
void check_norms() {
  const auto expected = Run<undivided(C)>().updates(4);
  on_threads(processes, [&](dist::Transport& transport) {
    Run<C> run(transport.rank());
    dist::join(run.ctx, transport);
    const auto given = run.updates(4);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double loss = given[i].datasets[0].loss / expected[i].datasets[0].loss,
                   norm = given[i].gradient_norm / expected[i].gradient_norm;
      check(std::abs(loss - 1) < 1e-4 && std::abs(norm - 1) < 1e-4, "split", "step ", i + 1, ": loss ", loss,
            " and norm ", norm, " of the undivided model's");
    }
  });
}

}  // namespace

TEST_CASE("a divided model's gradient has the norm of the whole one's, and trains as it does", "[split_model]") {
  check_norms<divided_by(2, 2)>();
  check_norms<divided_by(1, 2)>();  // whole blocks of the decoder in each process
}

TEST_CASE("processes that divide a model go on from files of their parts", "[split_model]") {
  const tests::TemporaryFolder folder;
  on_threads(processes, [&](dist::Transport& transport) {
    const auto path = folder.path() / std::to_string(transport.rank());
    Run<divided_by(2, 2)> straight(transport.rank()), resumed(transport.rank());
    dist::join(straight.ctx, transport);
    dist::join(resumed.ctx, transport);
    straight.updates(2);
    save_checkpoint(path, straight.trainer);
    const auto expected = straight.updates(2);
    check(load_checkpoint(path, resumed.trainer) == 2, "split", "another step");
    const auto given = resumed.updates(2);
    check(resumed.trainer.weights.flat == straight.trainer.weights.flat &&
              given[1].gradient_norm == expected[1].gradient_norm,
          "split", "resumed otherwise");
  });
}

TEST_CASE("processes that divide a model make the same passes, or all of them say that they do not", "[split_model]") {
  std::mutex mutex;
  std::vector<std::string> said;
  on_threads(processes, [&](dist::Transport& transport) {
    Run<divided_by(2, 2)> run(transport.rank(), {.sequences_at_once = 2 + transport.rank()});
    dist::join(run.ctx, transport);
    try {
      run.updates(1);
    } catch (const Error& error) {
      const std::lock_guard lock(mutex);
      said.emplace_back(error.what());
    }
  });
  REQUIRE(said.size() == 2);
  for (const std::string& text : said)
    CHECK_THAT(text, Catch::StartsWith(
                         "[trainer] processes that divide a model take other passes: this one has 5 sequences, ") &&
                         Catch::EndsWith(" at once, of 15 tokens with 5 media; expected the same batch and "
                                         "sequences_at_once in all of them"));
  CHECK(said[0] != said[1]);
}

TEST_CASE("what each process has of a divided layer is told from what all have", "[split_model]") {
  constexpr auto C = divided_by(2, 2);
  CHECK((processes_of(C) == 2 && processes_of(undivided(C)) == 1 && processes_of(divided_by(1, 2)) == 2));
  using Layer = TrainedOf<C, P, TrainedParts{}>;
  using Whole = TrainedOf<undivided(C), P, TrainedParts{}>;
  const auto ranges = divided_ranges<Layer, Whole>();
  CHECK((divided_ranges<Layer, Layer>().empty()));
  std::size_t at = 0;
  const auto look = [&](const Spec& spec) {
    const std::string_view name = spec.name;
    const bool expected = name.starts_with("gated.") && spec.split != Split::none;
    const dist::Range own{at, at + flat_size(spec)};
    INFO(name);
    CHECK(common({&own, 1}, ranges) == (expected ? std::vector{own} : std::vector<dist::Range>{}));
    at = own.end;
  };
  Layer::each(look);

  const std::vector<dist::Range> some{{2, 5}, {7, 9}}, others{{0, 3}, {4, 8}};
  CHECK(common(some, others) == std::vector<dist::Range>{{2, 3}, {4, 5}, {7, 8}});
  CHECK(between(some, 9) == std::vector<dist::Range>{{0, 2}, {5, 7}});
  CHECK(between({}, 4) == std::vector<dist::Range>{{0, 4}});
}

}  // namespace split_model_test
