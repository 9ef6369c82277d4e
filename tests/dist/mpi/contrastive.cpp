// Contrastive pretraining over MPI against one process: every pair is a negative of every other's.
#include <algorithm>
#include <cmath>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/dist/host_group.hpp>

#include "dist/mpi/cases.hpp"
#include "train/contrastive_case.hpp"

namespace flamingo::test {

namespace {

using P = Cpu<float>;
constexpr long updates = 20;

/// Pairs of process `rank`: none for the first, many for the last.
int border(int pairs, int rank, int processes) { return pairs * rank * rank / (processes * processes); }
PairBatch<float> uneven(const PairBatch<float>& all, int rank, int processes) {
  PairBatch<float> part;
  for (int n = border(all.pairs(), rank, processes); n < border(all.pairs(), rank + 1, processes); ++n) {
    Grid picture = all.pictures[static_cast<std::size_t>(n)];
    const float* const pixels = all.pixels.data() + std::size_t{3} * static_cast<std::size_t>(picture.first);
    picture.first = static_cast<int>(part.pixels.size() / 3);
    part.pixels.insert(part.pixels.end(), pixels, pixels + std::size_t{3} * static_cast<std::size_t>(picture.rows()));
    part.pictures.push_back(picture);
    part.texts.push_back(all.texts[static_cast<std::size_t>(n)]);
  }
  return part;
}
std::vector<PairStream<float>> pair_mixture(int rank, int processes) {
  const auto dataset = [=](const char* name, double weight, std::uint64_t seed, int pairs) {
    return PairStream<float>{
        name, weight,
        [=](long n) { return uneven(pairs_of<float>(seed + static_cast<std::uint64_t>(n), pairs), rank, processes); }};
  };
  return {dataset("ltip", 1, 0, 11), dataset("align", 0.5, 500, 6)};
}

struct PairRun {
  std::vector<ContrastiveReport> reports;
  std::vector<float> gradients, weights;  ///< of the first step; after the last
};
PairRun pair_run(dist::HostGroup<P>* group, ContrastiveOptions options, bool divided) {
  PairCase<P> c(std::move(options));
  if (group) c.trainer.join(*group, {.divided_state = divided, .bucket = 512});
  const auto data = group ? pair_mixture(group->transport().rank(), group->transport().size()) : pair_mixture(0, 1);
  PairRun run;
  for (long step = 0; step < updates; ++step) {
    run.reports.push_back(c.trainer.update(data));
    if (step == 0) run.gradients.assign(c.trainer.gradients.flat.begin(), c.trainer.gradients.flat.end());
  }
  run.weights.assign(c.trainer.weights.flat.begin(), c.trainer.weights.flat.end());
  return run;
}

}  // namespace

void contrast(dist::MpiTransport& transport, Arguments) {
  const int rank = transport.rank(), n = transport.size();
  dist::HostGroup<P> group(transport);
  {  // A pair's loss has the bits that it has in one process; evaluation draws nothing together.
    const auto all = pairs_of<float>(77, 13);
    PairCase<P> one, c;
    c.trainer.join(group);
    const auto expected = one.trainer.pass(all), given = c.trainer.pass(uneven(all, rank, n));
    check(static_cast<int>(given.size()) == border(13, rank + 1, n) - border(13, rank, n), "contrastive", given.size(),
          " losses");
    for (std::size_t i = 0; i < given.size(); ++i)
      check(given[i] == expected[static_cast<std::size_t>(border(13, rank, n)) + i], "contrastive", "pair ", i,
            " has the loss ", given[i]);
  }
  for (const auto& [mixing, chunk] : {std::pair(Mixing::accumulation, 0), std::pair(Mixing::accumulation, 2),
                                      std::pair(Mixing::merged, 0), std::pair(Mixing::round_robin, 3)}) {
    const ContrastiveOptions options{.mixing = mixing, .chunk = chunk};
    const PairRun alone = pair_run(nullptr, options, false), together = pair_run(&group, options, true),
                  whole = pair_run(&group, options, false);
    check(together.weights == whole.weights, "contrastive", "divided and whole state give other weights");
    check_same_everywhere(transport, std::span<const float>(together.weights), "contrastive");
    const double apart = distance(together.gradients.data(), alone.gradients.data(), alone.gradients.size()).relative;
    check(apart < 1e-5, "contrastive", "gradients are ", apart, " apart");
    for (std::size_t i = 0; i < alone.reports.size(); ++i) {
      const ContrastiveReport &a = alone.reports[i], &b = together.reports[i];
      const double bound = i == 0 ? 1e-6 : 1e-4;
      check(b.gradient_norm == whole.reports[i].gradient_norm, "contrastive", "norms differ");
      check(std::abs(b.gradient_norm / a.gradient_norm - 1) < (i == 0 ? 1e-5 : 1e-3), "contrastive", "norms of step ",
            i + 1, ": ", b.gradient_norm, " and ", a.gradient_norm);
      for (std::size_t m = 0; m < a.datasets.size(); ++m)
        check(
            a.datasets[m].pairs == b.datasets[m].pairs && std::abs(b.datasets[m].loss / a.datasets[m].loss - 1) < bound,
            "contrastive", "losses of step ", i + 1, ": ", b.datasets[m].loss, " and ", a.datasets[m].loss);
    }
  }
}

}  // namespace flamingo::test
