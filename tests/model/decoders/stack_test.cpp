#include <flamingo/model/decoders/stack.hpp>

#include <catch2/catch.hpp>

#include "check/lm.hpp"
#include "io/files.hpp"
#include "support/compare.hpp"
#include "support/layer.hpp"

namespace stack_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<double>;

constexpr Mpt tied{.dim = 6, .layers = 1, .heads = 2, .hidden = 7, .vocabulary = 13, .context = 11};
constexpr GptNeox untied{
    .dim = 6, .layers = 1, .heads = 1, .hidden = 7, .vocabulary = 13, .context = 11, .rotary_share = 1};
/// The same model with the last two entries of its vocabulary as added rows.
template <class C>
constexpr C divided(C c) {
  c.vocabulary -= 2;
  c.added = 2;
  return c;
}

/// Two sequences in which added and known entries are read and are to be predicted.
std::vector<Sequence> sequences() {
  return {{.ids = {3, 12, 0, 7}, .phi = {0, 0, 0, 0}, .targets = {12, 0, -1, 11}},
          {.ids = {11, 11, 5}, .phi = {0, 0, 0}, .targets = {11, 5, 12}}};
}

template <auto C>
void check_added() {
  using Whole = DecoderOf<C, P>;
  using Parts = DecoderOf<divided(C), P>;
  auto whole = drawn<Whole, P>(5);
  Store<Parts, P> parts;
  // Through the names of a file: the known and the added rows are parts of one table there.
  const tests::TemporaryFolder folder;
  const auto file = folder.path() / "whole.safetensors";
  TensorWriter writer(io::DType::f64);
  writer.add<Whole>(whole.views, lm_names(C));
  io::write_safetensors(file, writer.tensors());
  load_numbers<Parts>(io::Safetensors(file), parts.views, lm_names(divided(C)));

  Context<P> ctx(1, 1 << 22);
  const auto all = sequences();
  const auto plan = DecoderPlan::of(all, {}, 1);
  LmRun<Whole, P> expected(ctx, whole.views, plan);
  LmRun<Parts, P> run(ctx, parts.views, plan);
  CHECK(distance(run.logits, expected.logits).relative < 1e-14);
  CHECK(run.loss == Approx(expected.loss).epsilon(1e-14));
  TensorWriter ours(io::DType::f64), theirs(io::DType::f64);
  ours.add<Parts>(run.gradients.views, lm_names(divided(C)));
  theirs.add<Whole>(expected.gradients.views, lm_names(C));
  const auto a = ours.tensors(), b = theirs.tensors();
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    INFO(a[i].name);
    REQUIRE(a[i].name == b[i].name);
    const auto x = numbers<double>(a[i]), y = numbers<double>(b[i]);
    CHECK(distance(x.data(), y.data(), y.size()).largest < 1e-14);
  }
}

}  // namespace

TEST_CASE("Added rows are as good as entries of the vocabulary, in and out, forward and backward", "[decoder]") {
  check_added<tied>();
  check_added<untied>();
}

}  // namespace stack_test
