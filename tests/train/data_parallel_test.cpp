// What one process can see of it; tests/dist/mpi/training.cpp trains.
#include <flamingo/train/data_parallel.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <string_view>
#include <vector>

#include <flamingo/dist/host_group.hpp>
#include <flamingo/kernels/cpu/adamw.hpp>

namespace data_parallel_test {

using namespace flamingo;

namespace {

using P = Cpu<float>;

/// A layer like a connector: a part before three gated blocks of some sizes, and one after them.
template <int Before, int Each, int After>
struct Layer {
  template <class S>
  struct Parameters {
    Vector<S, Before> before;
    std::array<Vector<S, Each>, 3> gated;
    Vector<S, After> after;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(vector_spec("resampler.scale", Before, Init::one()), p.before...);
    for (std::size_t i = 0; i < 3; ++i) {
      auto gated = within(visit, "gated", static_cast<int>(i));
      gated(vector_spec("scale", Each, Init::one()), p.gated[i]...);
    }
    if constexpr (After > 0) visit(vector_spec("lm.added", After, Init::one()), p.after...);
  }
};

using Ends = std::vector<std::array<std::size_t, 3>>;
template <class L>
Ends ends_of(std::size_t most) {
  Ends ends;
  for (const Bucket& b : buckets_of<L>(most))
    ends.push_back({b.range.begin, b.range.end, static_cast<std::size_t>(b.after + 1)});
  return ends;
}

}  // namespace

TEST_CASE("buckets are completed from the last gated block to the first, then the rest", "[trainer]") {
  // A block's numbers below the first multiple of the grain go with the block before it.
  CHECK(ends_of<Layer<1000, 1000, 0>>(1100) == Ends{{3072, 4032, 3}, {2048, 3072, 2}, {1024, 2048, 1}, {0, 1024, 0}});
  // As many blocks together as a bucket holds; what lies after them waits for the end.
  CHECK(ends_of<Layer<1024, 1024, 512>>(2048) == Ends{{2048, 4096, 2}, {1024, 2048, 1}, {0, 1024, 0}, {4096, 4608, 0}});
  CHECK(ends_of<Layer<16, 16, 16>>(1 << 20) == Ends{{0, 80, 0}});
}

TEST_CASE("every number is in one bucket, and none is before its gradient is complete", "[trainer]") {
  const auto check_layer = []<class L>() {
    for (const std::size_t most : {std::size_t{256}, std::size_t{600}, std::size_t{5000}, std::size_t{1} << 22}) {
      std::vector<int> after(flat_size<L>(), -2);
      int last = 3;
      for (const Bucket& bucket : buckets_of<L>(most)) {
        CHECK(bucket.after <= last);
        CHECK((bucket.range.size() <= most && bucket.range.begin % dist::grain == 0));
        last = bucket.after;
        for (std::size_t i = bucket.range.begin; i < bucket.range.end; ++i) {
          REQUIRE(after[i] == -2);
          after[i] = bucket.after;
        }
      }
      std::size_t at = 0;
      auto look = [&](const Spec& spec) {
        const std::string_view name = spec.name;
        const int complete = name.starts_with("gated.") ? name[6] - '0' : -1;
        for (const std::size_t end = at + flat_size(spec); at < end; ++at)
          REQUIRE((after[at] != -2 && after[at] <= complete));
      };
      L::each(look);
    }
  };
  check_layer.operator()<Layer<1000, 1000, 0>>();
  check_layer.operator()<Layer<1024, 512, 300>>();
  check_layer.operator()<Layer<40, 90, 3000>>();
  check_layer.operator()<Layer<7000, 5, 5>>();
}

TEST_CASE("one process in a group updates as one alone, and joins once, before its first step", "[trainer]") {
  using L = Layer<1000, 1000, 300>;
  Context<P> ctx(1, 1 << 20);
  dist::OneProcess transport;
  dist::HostGroup<P> group(transport);
  Store<L, P> own(7), alone(7), gradients(9);
  Optimizer<L, P> own_optimizer, alone_optimizer;
  DataParallel<L, P> parallel;
  CHECK((parallel.alone() && parallel.writes() && parallel.sum(3.5) == 3.5));
  parallel.join(group, own_optimizer, {.bucket = 1000});
  CHECK_FALSE(parallel.alone());
  for (int step = 0; step < 3; ++step) {
    const double norm = parallel.step(ctx, own_optimizer, own, gradients, 0.1),
                 expected = alone_optimizer.step(ctx, alone, gradients, 0.1);
    CHECK(norm == Approx(expected).epsilon(1e-12));
  }
  CHECK(own_optimizer.first.flat.size() == flat_size<L>());
  const auto first = parallel.whole(ctx, own_optimizer.first);
  for (std::size_t i = 0; i < flat_size<L>(); ++i) {
    CHECK(own.flat[i] == Approx(alone.flat[i]));
    CHECK(first[i] == Approx(alone_optimizer.first.flat[i]));
  }
  CHECK_THROWS_WITH(parallel.join(group, own_optimizer, {}), "[data_parallel] the trainer has joined a group already");
  DataParallel<L, P> late;
  CHECK_THROWS_WITH(late.join(group, alone_optimizer, {}),
                    "[data_parallel] the trainer has made 3 steps: it joins before the first, or before its checkpoint "
                    "is read");
}

}  // namespace data_parallel_test
