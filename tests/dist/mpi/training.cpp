// Data parallel training over MPI against one process, and what happens when a process dies.
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>
#include <flamingo/dist/host_group.hpp>
#include <flamingo/train/checkpoint.hpp>

#include "dist/mpi/cases.hpp"
#include "io/files.hpp"
#include "train/trainer_case.hpp"

namespace flamingo::test {

namespace {

using P = Cpu<float>;
using Case = TrainerCase<P>;
constexpr long steps = 20, saved_at = 7;
constexpr Schedule schedule{.peak = 0.02, .warmup = 5};

/// Documents of process `rank`: few for the first ones and many for the last, and at every fourth step all for the
/// last.
TrainingBatch<float> uneven(const TrainingBatch<float>& all, long step, int rank, int processes) {
  const int documents = static_cast<int>(all.sequences.size());
  const auto border = [&](int r) {
    const int before = r == processes ? documents : step % 4 == 0 ? 0 : documents * r * r / (processes * processes);
    return static_cast<std::size_t>(before);
  };
  return part_of(all, border(rank), border(rank + 1) - border(rank));
}

std::vector<DatasetStream<float>> mixture(int rank, int processes) {
  const auto dataset = [=](const char* name, double weight, std::uint64_t seed, int documents) {
    return DatasetStream<float>{name, weight, [=](long step) {
                                  const auto all = Case::batch(seed + static_cast<std::uint64_t>(step), documents);
                                  return uneven(all, step, rank, processes);
                                }};
  };
  return {dataset("pages", 1, 0, 7), dataset("pairs", 0.2, 1000, 5)};
}

struct Run {
  std::vector<UpdateReport> reports;
  std::vector<float> weights;

  void go_on(Case& c, long until, dist::Transport* transport) {
    const auto data = transport ? mixture(transport->rank(), transport->size()) : mixture(0, 1);
    while (c.trainer.optimizer.steps() < until) reports.push_back(c.trainer.update(data));
    weights.assign(c.trainer.weights.flat.begin(), c.trainer.weights.flat.end());
  }
};
/// The same bits of losses, norms and weights.
void check_equal(const Run& a, const Run& b, const char* what) {
  check(a.weights == b.weights, what, "weights differ");
  const std::size_t both = std::min(a.reports.size(), b.reports.size());
  for (std::size_t i = 1; i <= both; ++i) {  // what went on after a checkpoint has the last steps alone
    const UpdateReport &x = a.reports[a.reports.size() - i], &y = b.reports[b.reports.size() - i];
    check(x.gradient_norm == y.gradient_norm, what, "norms differ ", i, " steps before the end");
    for (std::size_t m = 0; m < x.datasets.size(); ++m)
      check(x.datasets[m].loss == y.datasets[m].loss, what, "losses differ ", i, " steps before the end");
  }
}
void check_near(const Run& a, const Run& b, double first, double later, const char* what) {
  check(a.reports.size() == b.reports.size(), what, a.reports.size(), " and ", b.reports.size(), " steps");
  for (std::size_t i = 0; i < a.reports.size(); ++i)
    for (std::size_t m = 0; m < 2; ++m) {
      const LossReport &x = a.reports[i].datasets[m], &y = b.reports[i].datasets[m];
      check(x.tokens == y.tokens && x.rows == y.rows, what, "tokens of step ", i + 1, ": ", x.tokens, " and ",
            y.tokens);
      check(std::abs(x.loss - y.loss) <= (i == 0 ? first : later) * y.loss, what, "losses of step ", i + 1, ": ",
            x.loss, " and ", y.loss, ", relative ", std::abs(x.loss / y.loss - 1));
    }
}
template <class F>
void check_refused(const std::string& expected, const F& f) {
  std::string said = "nothing";
  try {
    f();
  } catch (const Error& error) {
    said = error.what();
  }
  check(said == expected, "refused", "it said '", said, "', expected '", expected, "'");
}

}  // namespace

void train_together(dist::MpiTransport& transport, Arguments) {
  const int rank = transport.rank(), n = transport.size();
  dist::HostGroup<P> group(transport);
  Run alone;
  Case one(schedule);
  alone.go_on(one, steps, nullptr);

  // Rank 0's folder is everybody's.
  std::optional<flamingo::tests::TemporaryFolder> own;
  std::array<char, 256> name{};
  if (rank == 0) own.emplace().path().string().copy(name.data(), name.size() - 1);
  const std::string folder = dist::gather(transport, std::span<const char>(name)).data();

  const auto together = [&](bool divided, const char* file, MomentFormat format = MomentFormat::full,
                            TrainingOptions options = {}) {
    Run run;
    Case c(schedule, {.moments = format}, options);
    c.trainer.join(group, {.divided_state = divided, .bucket = 1024});
    run.go_on(c, saved_at, &transport);
    save_checkpoint(folder + file, c.trainer);
    run.go_on(c, steps, &transport);
    check_same_everywhere(transport, std::span<const float>(run.weights), "weights");
    // Of 7 buckets each part may be a grain larger than its share.
    const auto& first = c.trainer.optimizer.first;
    const std::size_t kept = first.flat.size() + first.codes.size(), all = c.trainer.weights.flat.size();
    check(divided ? kept < all / static_cast<std::size_t>(n) + 7 * dist::grain : kept == all, "moments", "there are ",
          kept, " of ", all);
    std::array sum{static_cast<double>(kept)};
    dist::sum(transport, sum.data(), 1);
    check(!divided || sum[0] == static_cast<double>(all), "moments", sum[0], " over all processes, of ", all);
    const auto held_out = Case::batch(99, 11);
    const LossReport here = c.trainer.pass(share_of(held_out, rank, n), 0);
    Case other(schedule);
    std::copy(run.weights.begin(), run.weights.end(), other.trainer.weights.flat.begin());
    const LossReport there = other.trainer.pass(held_out, 0);
    check(here.tokens == there.tokens && here.rows == there.rows && std::abs(here.loss / there.loss - 1) < 1e-6,
          "evaluation", here.loss, " over all, ", there.loss, " of one");
    return run;
  };
  const Run divided = together(true, "/divided"), again = together(true, "/again"), whole = together(false, "/whole");
  check_near(divided, alone, 1e-6, 1e-4, "together and alone");
  check_equal(divided, again, "the same twice");
  check_equal(divided, whole, "divided and whole state");
  check_equal(together(true, "/bytes", MomentFormat::block8), together(false, "/whole_bytes", MomentFormat::block8),
              "divided and whole state in bytes");
  check_near(together(true, "/parts", MomentFormat::full, {.recompute = true, .sequences_at_once = 2}), alone, 1e-6,
             1e-4, "in parts, and alone");
  if (rank == 0) {
    using flamingo::tests::read_bytes;
    check(read_bytes(folder + "/divided") == read_bytes(folder + "/whole"), "checkpoint", "files differ");
    check(read_bytes(folder + "/bytes") == read_bytes(folder + "/whole_bytes"), "checkpoint", "files of bytes differ");
  }

  // A checkpoint of n processes goes on in as many with the same bits, however the state is kept, and in one.
  for (const bool is_divided : {true, false}) {
    Run resumed;
    Case c(schedule);
    c.trainer.join(group, {.divided_state = is_divided, .bucket = 1024});
    check(load_checkpoint(folder + "/divided", c.trainer) == saved_at, "resume", "another step");
    resumed.go_on(c, steps, &transport);
    check_equal(resumed, divided, "resumed");
  }
  Run by_one;
  Case c(schedule);
  by_one.reports.assign(divided.reports.begin(), divided.reports.begin() + saved_at);
  load_checkpoint(folder + "/divided", c.trainer);
  by_one.go_on(c, steps, nullptr);
  check_near(by_one, alone, 1e-6, 1e-4, "resumed by one");

  // What one process cannot go on with, none goes on with; all say the same, and are as they were.
  {
    Run run;
    Case bad(schedule);
    bad.trainer.join(group, {.bucket = 1024});
    run.go_on(bad, saved_at, &transport);
    auto broken = mixture(rank, n);
    broken[1].batch = [&](long step) {
      auto batch = uneven(Case::batch(static_cast<std::uint64_t>(step), 8), 1, rank, n);
      if (rank == n - 1) batch.features[0] = std::nanf("");
      return batch;
    };
    check_refused("[trainer] the loss of dataset pairs at step 8 is not finite", [&] { bad.trainer.update(broken); });
    run.go_on(bad, steps, &transport);
    check_equal(run, divided, "after a refusal");
  }
  if (n > 1) {
    Case other(schedule);
    other.trainer.weights.flat[3] += static_cast<float>(rank == n - 1);
    other.trainer.join(group);
    check_refused("[data_parallel] process " + std::to_string(n - 1) +
                      " begins with other weights than process 0: seeds or files differ",
                  [&] { other.trainer.update(mixture(rank, n)); });
  }
  dist::meet(transport);
}

/// CHECKPOINT FOLDER STEPS MILLISECONDS: a training program, which goes on from the checkpoint where there is one, and
/// writes down its processes' ids. Each step takes some time.
void train_until(dist::MpiTransport& transport, Arguments arguments) {
  check(arguments.size() == 4, "run", arguments.size(), " arguments");
  const std::filesystem::path checkpoint = arguments[0], folder = arguments[1];
  std::ofstream(folder / std::to_string(transport.rank())) << ::getpid() << '\n';
  dist::HostGroup<P> group(transport);
  Case c(schedule);
  c.trainer.join(group, {.bucket = 1024});
  if (std::filesystem::exists(checkpoint)) load_checkpoint(checkpoint, c.trainer);
  const auto data = mixture(transport.rank(), transport.size());
  for (const long until = std::atol(arguments[2]); c.trainer.optimizer.steps() < until;) {
    const UpdateReport report = c.trainer.update(data);
    const long step = c.trainer.optimizer.steps();
    if (step % 3 == 0 || step == until) save_checkpoint(checkpoint, c.trainer);
    if (transport.rank() == 0) {
      std::printf("%ld %.9g %.9g\n", step, report.datasets[0].loss, report.datasets[1].loss);
      std::fflush(stdout);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(std::atol(arguments[3])));
  }
}

/// The last process cannot read its data at step 3; the others know nothing of it.
void fail_alone(dist::MpiTransport& transport, Arguments) {
  dist::HostGroup<P> group(transport);
  Case c(schedule);
  c.trainer.join(group, {.bucket = 1024});
  auto data = mixture(transport.rank(), transport.size());
  data[0].batch = [&](long step) {
    if (step == 3 && transport.rank() == transport.size() - 1) fail("shards", "shard 7 is not there");
    return share_of(Case::batch(static_cast<std::uint64_t>(step), 8), transport.rank(), transport.size());
  };
  for (int step = 0; step < 6; ++step) c.trainer.update(data);
}

}  // namespace flamingo::test
