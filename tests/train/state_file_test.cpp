#include <flamingo/train/state_file.hpp>

#include <catch2/catch.hpp>

#include "io/files.hpp"
#include "train/language_model_case.hpp"

namespace state_file_test {

using namespace flamingo;
using namespace flamingo::test;
using flamingo::tests::error_of;
using flamingo::tests::read_bytes;
using flamingo::tests::TemporaryFolder;

namespace {

using Case = LanguageModelCase<Cpu<float>>;

/// Whether all numbers are: a block of bytes may tell them with another exponent.
bool same(const Case& a, const Case& b) {
  Context<Cpu<float>> ctx(1, 1 << 12);
  const auto moments = [&](const auto& one, const auto& other) {
    constexpr std::size_t all = flat_size<Case::Decoder>();
    return one.read(ctx, 0, all) == other.read(ctx, 0, all);
  };
  return a.trainer.weights.flat == b.trainer.weights.flat &&
         moments(a.trainer.optimizer.first, b.trainer.optimizer.first) &&
         moments(a.trainer.optimizer.second, b.trainer.optimizer.second) &&
         a.trainer.optimizer.steps() == b.trainer.optimizer.steps();
}

OptimizerOptions holding(MomentFormat format) {
  OptimizerOptions options = Case::Trains::default_options();
  options.moments = format;
  return options;
}

}  // namespace

TEST_CASE("a run that is stopped and resumed goes on bit for bit", "[state_file]") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "state.safetensors";
  for (const MomentFormat format : {MomentFormat::full, MomentFormat::bf16, MomentFormat::block8}) {
    INFO(name_of(format));
    Case straight(holding(format)), stopped(holding(format)), resumed(holding(format));
    for (long step = 1; step <= 5; ++step) straight.trainer.update(straight.batch(step));
    for (long step = 1; step <= 3; ++step) stopped.trainer.update(stopped.batch(step));
    save_state(path, stopped.trainer.weights, stopped.trainer.optimizer, {{"lm", "tiny"}});
    long step = load_state(path, resumed.trainer.weights, resumed.trainer.optimizer, {{"lm", "tiny"}});
    CHECK(step == 3);
    CHECK(same(resumed, stopped));
    while (++step <= 5) resumed.trainer.update(resumed.batch(step));
    CHECK(same(resumed, straight));
  }
}

TEST_CASE("moments of few bits go on at full precision, and back", "[state_file]") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "state.safetensors";
  Case few(holding(MomentFormat::block8)), full, back(holding(MomentFormat::block8));
  for (long step = 1; step <= 3; ++step) few.trainer.update(few.batch(step));
  save_state(path, few.trainer.weights, few.trainer.optimizer);
  load_state(path, full.trainer.weights, full.trainer.optimizer);
  save_state(path, full.trainer.weights, full.trainer.optimizer);
  load_state(path, back.trainer.weights, back.trainer.optimizer);
  CHECK(same(back, few));
}

TEST_CASE("a state that does not fit is refused, and nothing has changed", "[state_file]") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "state.safetensors";
  Case c, untouched;
  c.trainer.update(c.batch(1));
  save_state(path, c.trainer.weights, c.trainer.optimizer, {{"lm", "tiny"}});
  const auto error = [&](const std::filesystem::path& file, const io::Metadata& metadata = {}) {
    const std::string text =
        error_of([&] { load_state(file, untouched.trainer.weights, untouched.trainer.optimizer, metadata); });
    CHECK(same(untouched, Case()));
    CHECK_THAT(text, Catch::Contains(file.string()));
    return text;
  };
  CHECK_THAT(error(path, {{"lm", "large"}}), Catch::EndsWith(": its lm is tiny, expected large"));
  const std::string whole = read_bytes(path);
  CHECK_THAT(error(folder.write("cut.safetensors", whole.substr(0, whole.size() - 1))),
             Catch::StartsWith("[safetensors] "));
  TensorWriter writer(io::DType::f32);
  writer.add<Case::Decoder>(c.trainer.weights.views, detail::after("weights."));
  const auto partial = folder.path() / "partial.safetensors";
  writer.save(partial, {{"step", "3"}});
  CHECK_THAT(error(partial), Catch::StartsWith("[load] ") && Catch::Contains("missing 'first.embedding'"));
  TensorWriter halves(io::DType::f16);
  for (const char* prefix : {"weights.", "first.", "second."})
    halves.add<Case::Decoder>(c.trainer.weights.views, detail::after(prefix));
  halves.save(partial, {{"step", "3"}});
  CHECK_THAT(error(partial), Catch::EndsWith("'weights.embedding' is f16, expected f32, f64 or bf16"));
  writer.save(partial);
  CHECK_THAT(error(partial), Catch::EndsWith(" has no 'step' in its metadata"));
  writer.save(partial, {{"step", "3x"}});
  CHECK_THAT(error(partial), Catch::EndsWith(": its step is '3x', expected a number of steps"));
}

}  // namespace state_file_test
